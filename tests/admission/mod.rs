//! What comes in and what does not: the reserve of the disk, the quotas of users, and old mail that leaves all the while.

mod quotas;
mod space;
