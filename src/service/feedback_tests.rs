//! Labels without HTTP: whom they count for, and what a restart and a crash make of them.
