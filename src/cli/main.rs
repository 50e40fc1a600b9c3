//! `tollgate`: one tool for everything outside the filter.

fn main() {}
