//! Programs for ipmb 0.8.5 compile and run as they are.
//!
//! Each module is such a program, and together they name every public item of 0.8.5 that can be
//! kept; CHANGELOG.md lists the others. They join under the default runtime directory, as
//! programs do; the test gives each a process with a directory of its own.
#![allow(deprecated, reason = "what is deprecated has to be there all the same")]
#![allow(
    unused_mut,
    reason = "0.8 wants a receiver that is `mut`, and programs say so"
)]

use std::{env, process::Command, time::Duration};

const SOON: Option<Duration> = Some(Duration::from_secs(10));

/// Runs a program: the test of that name, in a child.
fn run(name: &str, program: fn()) {
    const CHILD: &str = "IPMB_COMPAT_CHILD";
    if env::var_os(CHILD).is_some() {
        return program();
    }
    let directory = tempfile::tempdir().unwrap();
    let output = Command::new(env::current_exe().unwrap())
        .args(["--exact", name])
        .env(CHILD, "1")
        .env("IPMB_RUNTIME_DIR", directory.path().join("bus"))
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

macro_rules! programs {
    ($($name:ident)*) => {$(
        #[test]
        fn $name() {
            run(stringify!($name), $name::main);
        }
    )*};
}

programs! {
    talk labels selectors types types_by_hand objects regions registry errors platform_paths
    several_threads
}

mod talk {
    use super::SOON;
    use ipmb::{
        EndpointReceiver, EndpointSender, JoinError, Message, Options, Selector, join, label,
    };

    struct Endpoint {
        tx: EndpointSender<String>,
        rx: EndpointReceiver<String>,
    }

    fn endpoint(name: &str) -> Result<Endpoint, JoinError> {
        let mut options = Options::new("com.example.talk", label!(name), String::from("secret"));
        options.controller_affinity = true;
        assert_eq!(options.identifier, "com.example.talk");
        assert_eq!(options.token, "secret");
        assert!(options.label.all([name]));
        let options: Options = options.clone();
        let _ = format!("{options:?}");
        let (tx, rx) = join::<String, String>(options, None)?;
        Ok(Endpoint { tx, rx })
    }

    fn receive(rx: &mut EndpointReceiver<String>) -> String {
        let message = rx.recv(SOON).expect("a message");
        let Message {
            payload,
            objects,
            memory_regions,
            ..
        } = message;
        assert!(objects.is_empty() && memory_regions.is_empty());
        payload
    }

    pub fn main() {
        let mut earth = endpoint("earth").unwrap();
        let mut moon = endpoint("moon").unwrap();
        for n in 0..100 {
            let message = Message::new(Selector::unicast("moon"), format!("hello {n}"));
            earth.tx.send(message).unwrap();
            assert_eq!(receive(&mut moon.rx), format!("hello {n}"));
            let message = Message::new(Selector::unicast("earth"), n.to_string());
            moon.tx.send(message).unwrap();
            assert_eq!(receive(&mut earth.rx), n.to_string());
        }
        // A receiver that is not wanted can be dropped, and sending goes on.
        drop(moon.rx);
        let tx = moon.tx.clone();
        drop(moon.tx);
        tx.send(Message::new(Selector::unicast("earth"), String::new()))
            .unwrap();
        assert_eq!(receive(&mut earth.rx), "");
    }
}

mod labels {
    use ipmb::{Label, LabelOp, label};

    pub fn main() {
        let owned = String::from("earth");
        let borrowed = "moon";
        let mut label = label!("solar", owned, borrowed,);
        assert_eq!(owned, borrowed.replace("moon", "earth"));
        label.insert("sun");
        label.insert(String::from("sun"));
        label.remove("moon");
        assert!(label.all(["solar", "earth", "sun"]));
        assert!(!label.all(vec!["moon"]));
        assert_eq!(label.iter().count(), 3);
        assert_eq!(Label::default(), label!());
        assert_eq!(Label::from(["a", "b"]), label!("a", "b"));
        assert_eq!(Label::from(vec!["a".to_string()]), label!("a"));
        assert_eq!(label, label.clone());
        let bytes = ipmb::encode(&label).unwrap();
        assert_eq!(ipmb::decode::<Label>(&bytes).unwrap(), label);

        let op = LabelOp::from("earth")
            .and("sun")
            .or(!LabelOp::from("solar"));
        assert!(op.validate(&label));
        assert!(op.clone().validate(&label!("x")));
        assert!(LabelOp::True.validate(&label) && !LabelOp::False.validate(&label));
        assert_eq!(depth(&op), 3);
        let built = LabelOp::Or(
            Box::new(LabelOp::And(
                Box::new(LabelOp::Leaf("earth".into())),
                Box::new(LabelOp::from(String::from("sun"))),
            )),
            Box::new(LabelOp::Not(Box::new(LabelOp::Leaf("solar".into())))),
        );
        assert_eq!(format!("{built:?}"), format!("{op:?}"));
        let bytes = ipmb::encode(&op).unwrap();
        let copy: LabelOp = ipmb::decode(&bytes).unwrap();
        assert!(copy.validate(&label));
    }

    fn depth(op: &LabelOp) -> usize {
        match op {
            LabelOp::True | LabelOp::False | LabelOp::Leaf(_) => 1,
            LabelOp::Not(inner) => 1 + depth(inner),
            LabelOp::And(left, right) | LabelOp::Or(left, right) => {
                1 + depth(left).max(depth(right))
            }
        }
    }
}

mod selectors {
    use super::SOON;
    use ipmb::{LabelOp, Message, Options, Selector, SelectorMode, label};
    use std::time::Duration;

    pub fn main() {
        let join = |label| {
            let options = Options::new("com.example.selectors", label, "");
            ipmb::join::<i32, i32>(options, SOON).unwrap()
        };
        let (tx, mut a) = join(label!("a", "both"));
        let (_, mut b) = join(label!("b", "both"));

        let mut selector = Selector::unicast("nobody");
        assert_eq!(selector.mode, SelectorMode::Unicast);
        assert_eq!(selector.ttl, Duration::ZERO);
        selector.label_op = LabelOp::from("both").and("b");
        selector.mode = SelectorMode::Multicast;
        let _ = format!("{:?}", selector.clone());
        tx.send(Message::new(selector, 1)).unwrap();
        assert_eq!(b.recv(SOON).unwrap().payload, 1);

        tx.send(Message::new(Selector::multicast("both"), 2))
            .unwrap();
        assert_eq!(a.recv(SOON).unwrap().payload, 2);
        assert_eq!(b.recv(SOON).unwrap().payload, 2);

        let mut later = Selector::multicast(LabelOp::from("c"));
        later.ttl = Duration::from_secs(10);
        tx.send(Message::new(later, 3)).unwrap();
        let (_, mut c) = join(label!("c"));
        assert_eq!(c.recv(SOON).unwrap().payload, 3);

        let wire = ipmb::encode(Selector::unicast("a")).unwrap();
        let selector: Selector = ipmb::decode(&wire).unwrap();
        assert!(selector.label_op.validate(&label!("a")));
    }
}

mod types {
    use super::SOON;
    use ipmb::{BytesMessage, Message, MessageBox, Options, Selector, label};
    use serde::{Deserialize, Serialize};
    use type_uuid::TypeUuid;

    #[derive(Debug, PartialEq, Serialize, Deserialize, TypeUuid)]
    #[uuid = "17037ac9-9965-4e76-ae2b-5ead3eb716a9"]
    struct Mine {
        foo: i32,
        bar: bool,
    }

    #[derive(Debug, MessageBox)]
    enum Several {
        String(String),
        I32(i32),
        Mine(Mine),
        Bytes(BytesMessage),
        Unit(()),
    }

    pub fn main() {
        let options = |name| Options::new("com.example.types", label!(name), "");
        let (tx, mut several) = ipmb::join::<Several, Several>(options("several"), None).unwrap();
        let (_, mut mine) = ipmb::join::<(), Mine>(options("mine"), None).unwrap();
        let all = || Selector::multicast(ipmb::LabelOp::True);
        let bytes = BytesMessage {
            format: 9,
            data: vec![1; 100_000],
        };
        for payload in [
            Several::String("s".into()),
            Several::I32(-1),
            Several::Bytes(bytes),
            Several::Unit(()),
            Several::Mine(Mine { foo: 1, bar: true }),
        ] {
            tx.send(Message::new(all(), payload)).unwrap();
        }
        let mut next = || several.recv(SOON).unwrap().payload;
        assert!(matches!(next(), Several::String(s) if s == "s"));
        assert!(matches!(next(), Several::I32(-1)));
        match next() {
            Several::Bytes(BytesMessage { format, data }) => {
                assert_eq!((format, data), (9, vec![1; 100_000]));
            }
            other => panic!("{other:?}"),
        }
        assert!(matches!(next(), Several::Unit(())));
        assert!(matches!(next(), Several::Mine(mine) if mine.foo == 1 && mine.bar));
        assert_eq!(mine.recv(SOON).unwrap().payload.foo, 1);
    }
}

mod types_by_hand {
    use super::SOON;
    use ipmb::{Error, Message, MessageBox, Options, Selector, label};
    use type_uuid::{Bytes, TypeUuid};

    struct Known(u64);

    impl TypeUuid for Known {
        const UUID: Bytes = [7; 16];
    }

    enum Any {
        Known(Known),
        Text(String),
    }

    impl MessageBox for Any {
        fn decode(uuid: Bytes, data: &[u8]) -> Result<Self, Error> {
            match uuid {
                Known::UUID => Ok(Self::Known(Known(ipmb::decode(data)?))),
                <String as TypeUuid>::UUID => Ok(Self::Text(ipmb::decode::<String>(data)?)),
                _ => Err(Error::TypeUuidNotFound),
            }
        }

        fn encode(&self) -> Result<Vec<u8>, Error> {
            match self {
                Self::Known(known) => ipmb::encode(known.0),
                Self::Text(text) => ipmb::encode(text),
            }
        }

        fn uuid(&self) -> Bytes {
            match self {
                Self::Known(_) => Known::UUID,
                Self::Text(_) => String::UUID,
            }
        }
    }

    pub fn main() {
        let options = Options::new("com.example.hand", label!("me"), "");
        let (tx, mut rx) = ipmb::join::<Any, Any>(options, None).unwrap();
        let me = || Selector::unicast("me");
        tx.send(Message::new(me(), Any::Known(Known(5)))).unwrap();
        tx.send(Message::new(me(), Any::Text("x".into()))).unwrap();
        assert!(matches!(
            rx.recv(SOON).unwrap().payload,
            Any::Known(Known(5))
        ));
        assert!(matches!(rx.recv(SOON).unwrap().payload, Any::Text(text) if text == "x"));
        assert!(matches!(
            Any::decode([0; 16], &[]),
            Err(Error::TypeUuidNotFound)
        ));
    }
}

mod objects {
    use super::SOON;
    use ipmb::{Message, Object, Options, Selector, label};
    use std::{
        fs::File,
        io::{Read, Write},
        os::fd::{FromRawFd, IntoRawFd, RawFd},
    };

    pub fn main() {
        let options = Options::new("com.example.objects", label!("me"), "");
        let (tx, mut rx) = ipmb::join::<(), ()>(options, None).unwrap();
        let (mut reader, writer) = std::io::pipe().unwrap();
        // SAFETY: the pipe's end is open and given up here.
        let object = unsafe { Object::from_raw(writer.into_raw_fd()) };
        let second: Object = object.clone().unwrap();
        let raw: RawFd = second.as_raw();
        assert_ne!(raw, object.as_raw());

        let mut message = Message::new(Selector::unicast("me"), ());
        message.objects.push(object);
        message.objects.push(second);
        tx.send(message).unwrap();
        let mut message = rx.recv(SOON).unwrap();
        assert_eq!(message.objects.len(), 2);
        for object in message.objects.drain(..) {
            let raw: RawFd = object.into_raw();
            // SAFETY: `into_raw` gave the descriptor up.
            let mut file = unsafe { File::from_raw_fd(raw) };
            file.write_all(b"hi").unwrap();
        }
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        assert_eq!(text, "hihi");
    }
}

mod regions {
    use super::SOON;
    use ipmb::{MemoryRegion, Message, Object, Options, Selector, label};
    use std::io::{self, Write};

    pub fn main() {
        let mut region = MemoryRegion::new(16 << 10).unwrap();
        let mut another = MemoryRegion::new(1).expect("memory");
        assert_eq!(region.buffer_size(), 16 << 10);
        assert_eq!(another.map(..).unwrap().len(), 1);
        assert_eq!(region.ref_count(), 1);
        write(&mut region).unwrap();

        let copy: io::Result<MemoryRegion> = region.clone();
        let mut copy = copy.unwrap();
        assert_eq!(region.ref_count(), 2);
        assert_eq!(copy.map(..5).unwrap(), b"Hello");
        drop(copy);
        assert_eq!(region.ref_count(), 1);

        let object: &Object = region.object();
        let mut opened = MemoryRegion::from_object(object.clone().unwrap());
        assert_eq!(region.ref_count(), 2);
        assert_eq!(opened.map(1..=2).unwrap(), b"el");
        drop(opened);

        let options = Options::new("com.example.regions", label!("me"), "");
        let (tx, mut rx) = ipmb::join::<u8, u8>(options, None).unwrap();
        let mut message = Message::new(Selector::unicast("me"), 0);
        message.memory_regions.push(region);
        tx.send(message).unwrap();
        let mut message = rx.recv(SOON).unwrap();
        let mut region = message.memory_regions.pop().unwrap();
        assert_eq!(region.map(..5).unwrap(), b"Hello");
    }

    fn write(region: &mut MemoryRegion) -> Result<(), ipmb::Error> {
        let mut view: &mut [u8] = region.map(..)?;
        view.write_all(b"Hello").unwrap();
        Ok(())
    }
}

mod registry {
    use ipmb::MemoryRegistry;
    use std::{cell::Cell, rc::Rc};

    pub fn main() {
        let mut registry = MemoryRegistry::default();
        let mut region = registry.alloc(1 << 20, None).unwrap();
        region.map(..).unwrap()[0] = 7;
        drop(region);
        let mut region = registry.alloc(1 << 20, None).expect("memory");
        assert_eq!(region.map(..).unwrap()[0], 7);
        assert!(region.buffer_size() >= 1 << 20);

        let freed = Rc::new(Cell::new(0));
        let counter = Rc::clone(&freed);
        let free = move || counter.set(counter.get() + 1);
        let region = registry.alloc_with_free(1000, Some("tag"), free).unwrap();
        registry.maintain();
        assert_eq!(freed.get(), 0);
        drop(region);
        registry.maintain();
        assert_eq!(freed.get(), 1);
    }
}

mod errors {
    use super::SOON;
    use ipmb::{
        Error, JoinError, Message, Options, RecvError, Selector, SendError, Version, label,
    };
    use std::time::Duration;

    pub fn main() {
        let options = |token| Options::new("com.example.errors", label!("me"), token);
        let (tx, mut rx) = ipmb::join::<(), ()>(options("right"), None).unwrap();
        match ipmb::join::<(), ()>(options("wrong"), SOON) {
            Err(JoinError::TokenMismatch) => {}
            other => panic!("{:?}", other.err()),
        }
        match rx.recv(Some(Duration::from_millis(1))) {
            Err(RecvError::Timeout) => {}
            other => panic!("{:?}", other.map(|message| message.payload)),
        }
        let sent: Result<(), SendError> = tx.send(Message::new(Selector::unicast("x"), ()));
        sent.unwrap();

        let version: Version = ipmb::version();
        let text = format!(
            "{}.{}.{}",
            version.major(),
            version.minor(),
            version.patch()
        );
        assert_eq!(version.to_string(), text);
        let copy = version;
        assert_eq!(copy, version);
        let pre: String = ipmb::version_pre();
        assert_eq!(pre, "");

        let joins = [
            JoinError::VersionMismatch(version),
            JoinError::TokenMismatch,
            JoinError::Timeout,
            JoinError::PermissionDenied,
        ];
        for error in joins {
            let send = format!("{error:?}");
            let text = error.to_string();
            match SendError::from(error) {
                SendError::VersionMismatch(found) => assert_eq!(found, version),
                SendError::TokenMismatch | SendError::Timeout => {}
                SendError::PermissionDenied => {}
                error => panic!("{error}"),
            }
            assert!(!send.is_empty() && !text.is_empty());
        }
        match RecvError::from(JoinError::PermissionDenied) {
            RecvError::VersionMismatch(_) | RecvError::TokenMismatch => panic!(),
            RecvError::Decode(error) => panic!("{error}"),
            RecvError::PermissionDenied => {}
            error => panic!("{error}"),
        }

        let error: Error = ipmb::decode::<String>(&[200]).unwrap_err();
        assert!(matches!(error, Error::Decode(_)));
        let named = [
            Error::TypeUuidNotFound,
            Error::Timeout,
            Error::Disconnect,
            Error::TokenMismatch,
            Error::IdentifierInUse,
            Error::IdentifierNotInUse,
            Error::IoError(std::io::ErrorKind::Other.into()),
            Error::MemoryRegionMapping,
            Error::PermissionDenied,
            Error::Unknown,
        ];
        for error in named {
            let error: Box<dyn std::error::Error> = Box::new(error);
            assert!(!error.to_string().is_empty());
        }
    }
}

mod platform_paths {
    use ipmb::platform::{MemoryRegion, Object, linux::Fd};

    pub fn main() {
        let region: ipmb::MemoryRegion = MemoryRegion::new(1);
        let object: &Object = region.object();
        let fd: Fd = object.clone().unwrap();
        assert!(fd.as_raw() >= 0);
    }
}

mod several_threads {
    use super::SOON;
    use ipmb::{EndpointReceiver, EndpointSender, Message, Options, Selector, label};
    use std::thread;

    fn can_be_shared<T: Send + Sync>(_: &T) {}

    pub fn main() {
        let options = Options::new("com.example.threads", label!("me"), "");
        let (tx, mut rx): (EndpointSender<u64>, EndpointReceiver<u64>) =
            ipmb::join(options, None).unwrap();
        can_be_shared(&tx);
        let receiving = thread::spawn(move || {
            (0..400)
                .map(|_| rx.recv(SOON).unwrap().payload)
                .sum::<u64>()
        });
        let sending: Vec<_> = (0..4)
            .map(|_| {
                let tx = tx.clone();
                thread::spawn(move || {
                    for n in 0..100 {
                        tx.send(Message::new(Selector::unicast("me"), n)).unwrap();
                    }
                })
            })
            .collect();
        for thread in sending {
            thread.join().unwrap();
        }
        assert_eq!(receiving.join().unwrap(), 4 * 4950);
    }
}
