//! Metrics in the OpenMetrics text form: what is counted while the daemon runs, and the page.
//!
//! | module | work |
//! |---|---|
//! | [`counters`] | what is counted while the daemon runs |
//! | [`families`] | the table of families, and the page |
//! | [`text`] | the form |

pub mod counters;
pub mod families;
pub mod text;
