//! The test parts themselves: an opponent or a judge that does nothing would let everything pass.

mod isolation;
mod judges;
mod receivers;
mod sorting;
