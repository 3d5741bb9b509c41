//! The controller: a state machine that keeps the directory and introduces members to each other.
