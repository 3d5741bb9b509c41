//! Who becomes the controller.
