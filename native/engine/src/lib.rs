//! The native engine: what one step of one partition decides, as `worker/core` defines it.
//!
//! It must not know Python, files, sockets, clocks or threads: bytes and numbers come in, bytes and numbers go out.
//! Invariant: the same input gives the same output as the readable engine, whatever the input is; nothing is
//! allocated that is larger than the bytes at hand justify.
#![forbid(unsafe_code)]

#[macro_use]
mod named;

pub mod decode;
pub mod event_rules;
pub mod given_tables;
pub mod json_elements;
pub mod json_scan;
mod json_strings;
pub mod kafka;
mod kept_memory;
mod names;
pub mod placeholders;
pub mod refusals;
pub mod tables;
pub mod timestamps;
