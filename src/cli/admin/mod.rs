//! The budget service's admin API, from the command line.

mod client;
mod table;

pub(crate) use client::{Access, Client, segment};
pub(crate) use table::{Column, Output, print_one, print_rows};
