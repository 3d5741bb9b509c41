//! Part of ipmb.
