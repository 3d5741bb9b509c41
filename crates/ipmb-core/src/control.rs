//! What members and the controller say to each other.
