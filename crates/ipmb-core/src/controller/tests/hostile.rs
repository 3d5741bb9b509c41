//! Rules 5 and 7: whatever a peer sends, at worst its own connection is closed.

use proptest::prelude::*;

use super::*;

/// A bus with two bystanders, who must not hear anything.
fn bus() -> Bus {
    let mut bus = Bus::new();
    bus.join(1, "a");
    bus.join(2, "b");
    bus.news();
    bus
}

#[test]
fn a_stranger_who_sends_objects_or_a_lot_is_cut_off() {
    let mut bus = bus();
    let (_, hello) = Greeter::start(&credential(), [0; 32]);
    bus.accept(3, 3);
    bus.handle(Input::Received {
        conn: ConnId(3),
        bytes: &hello,
        objects: 1,
    });
    bus.accept(4, 4);
    bus.raw(4, &[0; MAX_HANDSHAKE_PACKET + 1]);
    assert_eq!(
        bus.news(),
        [
            "#3 close: sent 1 objects with a packet of the handshake, where 0 belong",
            "#4 close: handshake: the other side does not speak the protocol of ipmb"
        ]
    );
    assert_eq!(bus.controller.phase(ConnId(3)), None);
}

#[test]
fn a_wrong_token_is_told_so_and_nothing_else() {
    let mut bus = bus();
    bus.accept(3, 3);
    let (_, hello) = Greeter::start(&credential(), [0; 32]);
    bus.raw(3, &hello);
    bus.news();
    let (mut other, _) = (Doorkeeper::new(&Credential::new("bus", "x"), [3; 32]), ());
    let Ok(DoorkeeperStep::Send(challenge)) = other.handle(&hello) else {
        panic!("the hello is wrong");
    };
    let (mut greeter, _) = Greeter::start(&Credential::new("bus", "x"), [0; 32]);
    let Ok(GreeterStep::Send(proof)) = greeter.handle(&challenge) else {
        panic!("the challenge is wrong");
    };
    bus.raw(3, &proof);
    assert_eq!(
        bus.news(),
        [
            "#3 raw",
            "#3 close: handshake: the token is not that of the bus: give all processes the same one"
        ]
    );
}

#[test]
fn each_breach_of_the_protocol_has_its_name() {
    let mut bus = bus();
    let mut expect = |conn: u64, message: ToController, objects: usize, reason: &str| {
        bus.admit(conn, conn as u32);
        if reason != "before" {
            bus.say(conn, register(conn, "c"));
        }
        bus.news();
        bus.handle(Input::Received {
            conn: ConnId(conn),
            bytes: &message.encode(),
            objects,
        });
        let news = bus.news();
        assert!(
            news[0].contains(" close: ") && news[0].contains(reason),
            "{news:?}"
        );
        assert!(
            news.iter()
                .all(|line| !line.starts_with("#1 ") && !line.starts_with("#2 ")),
            "{news:?}"
        );
    };
    expect(10, introduce(1, 0), 0, "before");
    expect(11, introduce(1, 0), 1, "sent 1 objects with Introduce");
    expect(12, register(12, "c"), 3, "registered twice");
    let large = ToController::Park {
        sequence: 1,
        selector: Selector::unicast("x"),
        over: 0,
        body: Body::Inline(vec![0; 16 * 1024 + 1]),
        objects: 0,
    };
    expect(13, large, 0, "inline");
    let many = ToController::Park {
        sequence: 1,
        selector: Selector::unicast("x"),
        over: 0,
        body: Body::Object { len: 1 },
        objects: u32::MAX,
    };
    expect(14, many, 5, "sent 5 objects with Park");
}

#[test]
fn nothing_is_said_while_a_registration_is_held() {
    let mut bus = Bus::with(Settings::default(), None, true);
    bus.join(1, "a");
    bus.news();
    bus.say(1, introduce(1, 0));
    let news = bus.news();
    assert!(
        news[0].starts_with("#1 close: registered twice"),
        "{news:?}"
    );
    assert_eq!(news[1], "drop 1");
    bus.pass(Duration::from_secs(1));
    assert!(bus.news().is_empty());
}

proptest! {
    #[test]
    fn random_bytes_close_at_most_their_own_connection(
        packets in prop::collection::vec((3_u64..6, prop::collection::vec(any::<u8>(), 0..100), 0_usize..4), 1..40)
    ) {
        let mut bus = bus();
        bus.accept(3, 3);
        bus.admit(4, 4);
        bus.join(5, "c");
        bus.news();
        for (conn, bytes, objects) in packets {
            let conn = ConnId(conn);
            bus.handle(Input::Received { conn, bytes: &bytes, objects });
        }
        for line in bus.news() {
            prop_assert!(!line.starts_with("#1 close") && !line.starts_with("#2 close"), "{}", line);
            prop_assert!(!["leave 1", "leave 2"].contains(&line.as_str()));
        }
    }

    #[test]
    fn flipped_bits_close_at_most_their_own_connection(
        flips in prop::collection::vec((0_usize..6, any::<prop::sample::Index>(), 0..8), 1..40)
    ) {
        let mut bus = bus();
        bus.join(5, "c");
        bus.news();
        let messages = [
            register_survivor(5, "c d", survivor(3)),
            introduce(1, u64::MAX),
            park(1, "x", Duration::from_secs(1)),
            ToController::Took { ids: vec![park_id(1, 1)] },
            ToController::StopReceiving { askers: Vec::new() },
            register(5, "c"),
        ];
        for (which, byte, bit) in flips {
            let message = &messages[which];
            let mut bytes = message.encode();
            let byte = byte.index(bytes.len());
            bytes[byte] ^= 1_u8 << bit;
            bus.handle(Input::Received { conn: ConnId(5), bytes: &bytes, objects: message.objects() });
        }
        for line in bus.news() {
            prop_assert!(!line.starts_with("#1 close") && !line.starts_with("#2 close"), "{}", line);
        }
    }
}
