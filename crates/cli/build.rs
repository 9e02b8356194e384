//! Links the program to a fixed address where that is known to work.
#![allow(clippy::print_stdout)] // It is how a build script talks to cargo.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let is = |name: &str, value: &str| std::env::var(name).as_deref() == Ok(value);
    // The tables of time zones hold some 40,000 pointers. In a program that can be anywhere each of them is
    // set at every start, which touches 400 pages and takes longer than `status` itself.
    if is("CARGO_CFG_TARGET_OS", "linux") && is("CARGO_CFG_TARGET_ENV", "gnu") {
        println!("cargo::rustc-link-arg-bins=-no-pie");
    }
}
