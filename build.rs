//! Fixes the installation prefix at build time: `MAILCHUTE_PREFIX` unset or `/` means the system paths.

fn main() {
    println!("cargo:rerun-if-env-changed=MAILCHUTE_PREFIX");
    println!("cargo:rerun-if-changed=../../build.rs");
    let prefix = std::env::var("MAILCHUTE_PREFIX").unwrap_or_default();
    println!("cargo:rustc-env=MAILCHUTE_PREFIX={}", prefix.trim_end_matches('/'));
}
