//! Messages that match nobody yet.
