//! Metrics: one page in the OpenMetrics text form, for the textfile collector of node_exporter or anything that reads files. No
//! port.
//!
//! In: counters of this process, the queue's numbers from state.sqlite, the spool's free space. Out: `metrics_file`, replaced as a
//! whole. A disk or a database that refuses costs a page, never a delivery.
pub mod counters;
pub mod families;
pub mod text;
