//! The one syslog line of the injector.
