//! The macro that makes labels.

/// Makes a [`Label`](crate::Label) of anything that is `AsRef<str>`.
///
/// ```
/// let number = 7.to_string();
/// let label = ipmb::label!("worker", number, String::from("gpu"),);
/// assert!(label.all(["worker", "7"]));
/// assert_eq!(ipmb::label!(), ipmb::Label::default());
/// ```
#[macro_export]
macro_rules! label {
    ($($element:expr),* $(,)?) => {{
        #[allow(unused_mut)]
        let mut label = $crate::Label::default();
        $(label.insert(&$element);)*
        label
    }};
}
