//! Tests of the query module.
