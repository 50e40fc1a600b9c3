//! A provider to practise on.
