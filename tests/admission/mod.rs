//! What comes in and what does not: the reserve of the disk, the caps of users, and old mail that leaves all the while.

mod caps;
mod space;
