//! How much one peer can make the controller hold.
