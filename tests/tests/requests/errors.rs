//! Bad requests, and replies that are not what was expected.

use super::{clerk, join, reply, request};
use ipmb::{BytesMessage, Message, RequestError, Selector, SendError, label};
use ipmb_tests::{Bus, DEADLINE};

#[test]
fn a_request_to_several_is_refused() {
    let bus = Bus::new();
    let (sender, _receiver) = join(&bus);
    let question = Message::new(Selector::multicast("clerk"), "echo it".to_owned());
    let error = sender.request(question).unwrap_err();
    assert!(matches!(error, RequestError::Multicast), "{error}");
}

#[test]
fn a_request_over_the_limit_is_refused() {
    let bus = Bus::new();
    let options = bus.options(label!("test")).with_message_limit(1000);
    let (sender, _receiver) = ipmb::join::<String, ()>(options, Some(DEADLINE)).unwrap();
    let clerk = clerk(&bus);
    // Before and after first contact.
    for _ in 0..2 {
        let error = sender.request(request(&"x".repeat(2000))).unwrap_err();
        let RequestError::Send(SendError::TooLarge { limit, .. }) = error else {
            panic!("{error}");
        };
        assert_eq!(limit, 1000);
        let mut pending = sender.request(request("echo it")).unwrap();
        assert_eq!(reply(&mut pending), "it");
    }
    clerk.finish();
}

#[test]
fn a_reply_of_another_type_ends_the_request() {
    let bus = Bus::new();
    let (sender, _receiver) = join(&bus);
    let clerk = clerk(&bus);
    let mut pending = sender.request(request("echo it")).unwrap();
    let error = pending.wait::<BytesMessage>(Some(DEADLINE)).unwrap_err();
    assert!(matches!(error, RequestError::UnexpectedType), "{error}");
    let error = pending.wait::<String>(Some(DEADLINE)).unwrap_err();
    assert!(matches!(error, RequestError::Over), "{error}");
    clerk.finish();
}

#[test]
fn a_request_is_over_when_it_has_its_reply() {
    let bus = Bus::new();
    let (sender, _receiver) = join(&bus);
    let clerk = clerk(&bus);
    let mut pending = sender.request(request("echo it")).unwrap();
    assert_eq!(reply(&mut pending), "it");
    let error = pending.wait::<String>(None).unwrap_err();
    assert!(matches!(error, RequestError::Over), "{error}");
    clerk.finish();
}
