//! Runtime directories that are not as they should be.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::Path;

use ipmb_sys::{RuntimeDirectory, RuntimeDirectoryError as Error, Scope};

use super::process::{Actor, Helper, NOBODY, is_root, temporary};

fn user(path: &Path) -> Result<RuntimeDirectory, Error> {
    RuntimeDirectory::resolve(Some(path), Scope::User)
}

fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().mode() & 0o7777
}

#[test]
fn created_for_its_scope_but_not_its_parents() {
    let base = temporary();
    let (new, shared) = (base.path().join("new"), base.path().join("shared"));
    let found = user(&new).unwrap();
    assert_eq!((found.path(), found.scope()), (new.as_path(), Scope::User));
    assert_eq!(mode(&new), 0o700);
    user(&new).unwrap();
    RuntimeDirectory::resolve(Some(&shared), Scope::System).unwrap();
    assert_eq!(mode(&shared), 0o1777);
    let orphan = user(&base.path().join("absent/new")).unwrap_err();
    assert!(matches!(&orphan, Error::Io { .. }));
    assert!(
        orphan.to_string().contains("absent/new"),
        "names the path: {orphan}"
    );
}

#[test]
fn modes_that_let_others_in() {
    let base = temporary();
    for wrong in [0o755, 0o710, 0o701, 0o1777] {
        chmod(base.path(), wrong);
        let error = user(base.path()).unwrap_err();
        assert!(matches!(error, Error::WrongMode { mode, .. } if mode == wrong));
        assert_eq!(
            mode(base.path()),
            wrong,
            "not repaired behind its owner's back"
        );
    }
    for (system, right) in [
        (0o777, false),
        (0o770, false),
        (0o1777, true),
        (0o755, true),
    ] {
        chmod(base.path(), system);
        let result = RuntimeDirectory::resolve(Some(base.path()), Scope::System);
        assert_eq!(result.is_ok(), right);
    }
}

#[test]
fn links_and_files_are_no_directories() {
    let base = temporary();
    let real = base.path().join("real");
    user(&real).unwrap();
    let (link, file) = (base.path().join("link"), base.path().join("file"));
    symlink(&real, &link).unwrap();
    fs::write(&file, "").unwrap();
    for path in [link, file] {
        assert!(matches!(user(&path), Err(Error::NotADirectory { .. })));
    }
}

#[test]
fn a_directory_of_somebody_else() {
    let base = temporary();
    let theirs = base.path().join("theirs");
    user(&theirs).unwrap();
    if !is_root() {
        return;
    }
    chown(&theirs, Some(NOBODY), None).unwrap();
    let error = user(&theirs).unwrap_err();
    assert!(matches!(
        error,
        Error::WrongOwner {
            uid: NOBODY,
            expected: 0,
            ..
        }
    ));
    let error = RuntimeDirectory::resolve(Some(&theirs), Scope::System).unwrap_err();
    assert!(matches!(error, Error::WrongOwner { .. }));
}

#[test]
fn seen_without_privileges() {
    // Under /tmp itself, and not a directory of ours, so that others can get there.
    let base = temporary();
    chmod(base.path(), 0o755);
    let (roots, shared) = (base.path().join("roots"), base.path().join("shared"));
    let (locked, mine) = (base.path().join("locked"), base.path().join("mine"));
    for (path, mode) in [
        (&roots, 0o700),
        (&shared, 0o1777),
        (&locked, 0o500),
        (&mine, 0o700),
    ] {
        fs::create_dir(path).unwrap();
        if is_root() && (path == &locked || path == &mine) {
            chown(path, Some(NOBODY), Some(NOBODY)).unwrap();
        }
        chmod(path, mode);
    }
    let ask = |scope: &str, path: &Path| {
        let helper = Helper::spawn_as_nobody("directory");
        helper.tell(format!("{scope}{}", path.display()).as_bytes(), &[]);
        helper.hear().0
    };
    assert_eq!(ask("user:", &mine), "ok");
    assert_eq!(ask("system:", &shared), "ok");
    assert_eq!(ask("user:", &locked), "not writable");
    if is_root() {
        // It cannot even be opened, let alone created in.
        assert_eq!(ask("user:", &roots), "io");
        chmod(&roots, 0o755);
        assert_eq!(ask("user:", &roots), "wrong owner");
        assert_eq!(ask("system:", &roots), "not writable");
        assert_eq!(ask("user:", &roots.join("new")), "io");
    }
}

#[test]
fn found_by_the_environment() {
    let base = temporary();
    let (first, second) = (base.path().join("first"), base.path());
    let ask = |runtime: Option<&Path>, xdg: Option<&str>| {
        let helper = Helper::start("directory", |command| {
            command
                .env_remove("IPMB_RUNTIME_DIR")
                .env_remove("XDG_RUNTIME_DIR");
            command.envs(runtime.map(|path| ("IPMB_RUNTIME_DIR", path)));
            command.envs(xdg.map(|path| ("XDG_RUNTIME_DIR", path)));
        });
        helper.tell(b"where", &[]);
        helper.hear().0
    };
    let xdg = second.to_str();
    let uid = rustix::process::geteuid().as_raw();
    let last = format!("/tmp/ipmb-{uid}");
    assert_eq!(ask(Some(&first), xdg), first.to_str().unwrap());
    assert_eq!(ask(None, xdg), second.join("ipmb").to_str().unwrap());
    assert_eq!(mode(&second.join("ipmb")), 0o700);
    assert_eq!(ask(None, None), last);
    assert_eq!(ask(None, Some("/no/such/directory")), last);
    assert_eq!(ask(None, Some("relative")), last);
}

pub fn resolver(actor: &mut Actor) {
    let (question, _) = actor.hear();
    let result = if let Some(path) = question.strip_prefix("user:") {
        user(path.as_ref())
    } else if let Some(path) = question.strip_prefix("system:") {
        RuntimeDirectory::resolve(Some(path.as_ref()), Scope::System)
    } else {
        RuntimeDirectory::resolve(None, Scope::User)
    };
    let answer = match &result {
        Ok(found) if question == "where" => found.path().to_str().unwrap(),
        Ok(_) => "ok",
        Err(Error::WrongOwner { .. }) => "wrong owner",
        Err(Error::WrongMode { .. }) => "wrong mode",
        Err(Error::NotWritable { .. }) => "not writable",
        Err(Error::NotADirectory { .. }) => "not a directory",
        Err(Error::Io { .. }) => "io",
        Err(e) => panic!("{e}"),
    };
    actor.tell(answer.as_bytes(), &[]);
}
