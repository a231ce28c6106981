//! The room `kinds`.

pub mod logistic;
