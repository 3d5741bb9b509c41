//! A control message cut into packets, and put together again.
