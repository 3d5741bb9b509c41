//! What stands in a lane before the payload.
