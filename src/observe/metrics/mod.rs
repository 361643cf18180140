//! Metrics in the OpenMetrics text format: the counters of the daemon, and the page.
//!
//! | module | work |
//! |---|---|
//! | [`counters`] | the counters |
//! | [`families`] | the table of families, and the page |
//! | [`text`] | the text format |

pub mod counters;
pub mod families;
pub mod text;
