//! Starts what a test needs, and stops it.
