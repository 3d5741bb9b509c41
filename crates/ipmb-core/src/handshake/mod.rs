//! How a joiner and the controller prove to each other that they hold the token.
