use proptest::prelude::*;

use super::*;

fn credential() -> Credential {
    Credential::new("a bus", "a token")
}

/// Runs a handshake to its end: what the joiner and the controller make of it.
fn shake(
    joiner: &Credential,
    controller: &Credential,
) -> (Result<(), HandshakeError>, Result<(), HandshakeError>) {
    let (mut greeter, hello) = Greeter::start(joiner, [1; 32]);
    let mut doorkeeper = Doorkeeper::new(controller, [2; 32]);
    let mut packet = hello;
    loop {
        assert!(packet.len() <= MAX_HANDSHAKE_PACKET);
        let answer = match doorkeeper.handle(&packet) {
            Ok(DoorkeeperStep::Send(answer)) => answer,
            Ok(DoorkeeperStep::Admitted) => return (Ok(()), Ok(())),
            Err((error, Some(refusal))) => {
                return (greeter.handle(&refusal).map(drop), Err(error));
            }
            Err((error, None)) => return (Err(error), Err(error)),
        };
        packet = match greeter.handle(&answer) {
            Ok(GreeterStep::Send(proof)) => proof,
            Err(error) => return (Err(error), Ok(())),
        };
    }
}

#[test]
fn who_knows_identifier_and_token_is_admitted() {
    assert_eq!(shake(&credential(), &credential()), (Ok(()), Ok(())));
    let empty = Credential::new("", "");
    assert_eq!(shake(&empty, &empty), (Ok(()), Ok(())));
}

#[test]
fn the_joiner_does_not_prove_itself_to_who_lacks_the_token() {
    let squatter = Credential::new("a bus", "another token");
    let (joiner, _) = shake(&credential(), &squatter);
    assert_eq!(joiner, Err(HandshakeError::TokenMismatch));
}

#[test]
fn a_proof_without_the_token_is_refused_and_the_joiner_told() {
    let (greeter, hello) = Greeter::start(&credential(), [1; 32]);
    let mut doorkeeper = Doorkeeper::new(&credential(), [2; 32]);
    assert!(doorkeeper.handle(&hello).is_ok());
    // Proves the wrong token to a controller that holds it.
    let wrong = Credential::new("a bus", "another token");
    let (mut impostor, hello) = Greeter::start(&wrong, [1; 32]);
    let Ok(DoorkeeperStep::Send(challenge)) = Doorkeeper::new(&wrong, [2; 32]).handle(&hello)
    else {
        panic!("no challenge");
    };
    let Ok(GreeterStep::Send(proof)) = impostor.handle(&challenge) else {
        panic!("no proof");
    };
    let Err((error, Some(refusal))) = doorkeeper.handle(&proof) else {
        panic!("no refusal");
    };
    assert_eq!(error, HandshakeError::TokenMismatch);
    assert_eq!(greeter.refusal(&refusal), Some(error));
}

#[test]
fn the_other_sides_proof_is_none() {
    let (_, hello) = Greeter::start(&credential(), [1; 32]);
    let mut doorkeeper = Doorkeeper::new(&credential(), [2; 32]);
    let Ok(DoorkeeperStep::Send(challenge)) = doorkeeper.handle(&hello) else {
        panic!("no challenge");
    };
    // The controller's own MAC, sent back to it.
    let mut reflected = challenge[..10].to_vec();
    reflected[4] = 3;
    reflected.extend(&challenge[42..74]);
    let refused = doorkeeper.handle(&reflected);
    assert!(matches!(
        refused,
        Err((HandshakeError::TokenMismatch, Some(_)))
    ));
}

#[test]
fn a_proof_is_good_for_one_handshake_only() {
    let (mut greeter, hello) = Greeter::start(&credential(), [1; 32]);
    let mut doorkeeper = Doorkeeper::new(&credential(), [2; 32]);
    let Ok(DoorkeeperStep::Send(challenge)) = doorkeeper.handle(&hello) else {
        panic!("no challenge");
    };
    let Ok(GreeterStep::Send(proof)) = greeter.handle(&challenge) else {
        panic!("no proof");
    };
    let mut another = Doorkeeper::new(&credential(), [3; 32]);
    assert!(another.handle(&hello).is_ok());
    assert!(another.handle(&proof).is_err());
    assert_eq!(doorkeeper.handle(&proof), Ok(DoorkeeperStep::Admitted));
}

#[test]
fn who_only_passes_the_handshake_on_is_refused_by_both() {
    let standing = |pid, uid| Standing {
        users: 5,
        uid,
        processes: 6,
        pid,
    };
    // What each is, what it sees at the other end, and what comes of it.
    let shake = |joiner: Standing, its_peer, controller: Standing, peer| {
        let (joiner, controller) = (
            credential().with_standing(joiner),
            credential().with_standing(controller),
        );
        let see = |(pid, uid): (u32, u32)| move |it: Greeter| it.seeing(pid, uid);
        let (greeter, hello) = Greeter::start(&joiner, [1; 32]);
        let mut greeter = see(its_peer)(greeter);
        let (pid, uid) = peer;
        let mut doorkeeper = Doorkeeper::new(&controller, [2; 32]).seeing(pid, uid);
        let Ok(DoorkeeperStep::Send(challenge)) = doorkeeper.handle(&hello) else {
            panic!("no challenge");
        };
        match greeter.handle(&challenge) {
            Ok(GreeterStep::Send(proof)) => match doorkeeper.handle(&proof) {
                Ok(_) => "both",
                Err((HandshakeError::Relayed, Some(refusal))) => {
                    assert_eq!(greeter.refusal(&refusal), Some(HandshakeError::Relayed));
                    "joiner"
                }
                other => panic!("{other:?}"),
            },
            Err(HandshakeError::Relayed) => "nobody",
            Err(error) => panic!("{error}"),
        }
    };
    let (alice, bob) = (standing(100, 1), standing(200, 2));
    assert_eq!(shake(alice, (200, 2), bob, (100, 1)), "both");
    // Mallory is process 300 of user 3, or of the user of one of them.
    assert_eq!(shake(alice, (300, 3), bob, (300, 3)), "nobody");
    assert_eq!(shake(alice, (300, 2), bob, (300, 2)), "nobody");
    assert_eq!(shake(alice, (200, 2), bob, (300, 1)), "joiner");
    assert_eq!(shake(alice, (200, 2), bob, (100, 3)), "joiner");
    // In containers ids are others, and nothing can be said: of processes, of users, of both.
    let inside = |it: Standing| Standing {
        users: 7,
        processes: 8,
        ..it
    };
    assert_eq!(shake(inside(alice), (9, 9), bob, (0, 65534)), "both");
    let (users, processes) = (inside(alice).users, inside(alice).processes);
    assert_eq!(
        shake(Standing { processes, ..alice }, (9, 2), bob, (9, 1)),
        "both"
    );
    assert_eq!(
        shake(Standing { processes, ..alice }, (9, 3), bob, (9, 3)),
        "nobody"
    );
    assert_eq!(
        shake(Standing { users, ..alice }, (200, 9), bob, (100, 9)),
        "both"
    );
    assert_eq!(
        shake(Standing { users, ..alice }, (300, 9), bob, (300, 9)),
        "nobody"
    );
    // Where the namespaces are not known, it is as if they differed.
    let unknown = Standing::default();
    assert_eq!(shake(unknown, (9, 9), unknown, (8, 8)), "both");
}

#[test]
fn another_bus_says_so() {
    let error = Err(HandshakeError::WrongIdentifier);
    let other = Credential::new("another bus", "a token");
    assert_eq!(shake(&other, &credential()), (error, error));
}

#[test]
fn incompatible_versions_tell_each_other() {
    let version = |minor| credential().with_version(Version::new(0, minor, 0));
    let theirs = |minor| HandshakeError::VersionMismatch(Version::new(0, minor, 0));
    assert_eq!(
        shake(&version(8), &version(9)),
        (Err(theirs(9)), Err(theirs(8)))
    );
    let patch = credential().with_version(Version::new(0, LIBRARY_VERSION.minor(), 250));
    assert_eq!(shake(&patch, &credential()), (Ok(()), Ok(())));
}

#[test]
fn versions_come_before_everything_that_depends_on_them() {
    // A future wire version, longer than ours.
    let (_, mut hello) = Greeter::start(&credential(), [1; 32]);
    hello[5] = 2;
    hello.push(0);
    let refused = Doorkeeper::new(&credential(), [2; 32]).handle(&hello);
    let mismatch = HandshakeError::VersionMismatch(LIBRARY_VERSION);
    assert!(matches!(refused, Err((error, Some(_))) if error == mismatch));
}

#[test]
fn packets_out_of_turn_get_no_answer() {
    let (mut greeter, hello) = Greeter::start(&credential(), [1; 32]);
    assert_eq!(greeter.handle(&hello), Err(HandshakeError::Malformed));
    let mut doorkeeper = Doorkeeper::new(&credential(), [2; 32]);
    assert!(doorkeeper.handle(&hello).is_ok());
    let malformed = Err((HandshakeError::Malformed, None));
    assert_eq!(doorkeeper.handle(&hello), malformed);
}

#[test]
fn nothing_of_the_token_is_printed() {
    let printed = format!("{:?}", Doorkeeper::new(&credential(), [0; 32]));
    assert!(printed.contains("Credential { .. }"), "{printed}");
}

#[test]
fn file_keys_tell_identifiers_apart_and_nothing_else() {
    let key = credential().file_key();
    assert_eq!(key, Credential::new("a bus", "another token").file_key());
    assert_ne!(key, Credential::new("another bus", "a token").file_key());
}

/// The values of RFC 4231, test case 2, through the same code: a short key, padded.
#[test]
fn the_mac_is_hmac_sha_256() {
    let expected =
        Credential::of_key(*b"Jefe\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0")
            .prove(&[b"what do ya want ", b"for nothing?"]);
    let hex: String = expected.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(
        hex,
        "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
    );
}

proptest! {
    #[test]
    fn any_packet_is_answered_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let (mut greeter, hello) = Greeter::start(&credential(), [1; 32]);
        let mut doorkeeper = Doorkeeper::new(&credential(), [2; 32]);
        prop_assert!(doorkeeper.handle(&bytes).is_err());
        prop_assert!(greeter.handle(&bytes).is_err());
        let _ = doorkeeper.handle(&hello);
        prop_assert!(doorkeeper.handle(&bytes).is_err());
    }

    #[test]
    fn one_wrong_bit_anywhere_is_one_too_many(byte in any::<prop::sample::Index>(), bit in 0..8) {
        let (mut greeter, hello) = Greeter::start(&credential(), [1; 32]);
        let mut doorkeeper = Doorkeeper::new(&credential(), [2; 32]);
        let Ok(DoorkeeperStep::Send(challenge)) = doorkeeper.handle(&hello) else {
            panic!("no challenge");
        };
        let flip = |packet: &[u8]| {
            let mut packet = packet.to_vec();
            let byte = byte.index(packet.len());
            packet[byte] ^= 1_u8 << bit;
            packet
        };
        prop_assert!(greeter.handle(&flip(&challenge)).is_err());
        let Ok(GreeterStep::Send(proof)) = greeter.handle(&challenge) else {
            panic!("no proof");
        };
        // A patch version in a proof is not looked at, and proves nothing either way.
        if !(7..10).contains(&byte.index(proof.len())) {
            prop_assert!(doorkeeper.handle(&flip(&proof)).is_err());
        }
    }
}
