//! `keeper DIRECTORY`: a controller in a process of its own, which can be killed.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use ipmb::label;
use ipmb_tests::DEADLINE;

pub fn run(directory: &str) {
    let options = ipmb_tests::options(Path::new(directory), label!("keeper"));
    let joined = ipmb::join::<(), ()>(options, Some(DEADLINE)).expect("nobody is in the way");
    println!("joined");
    // Until whoever started it ends, at the latest.
    let _ = std::io::stdin().lines().next();
    drop(joined);
}

/// The process.
pub struct Keeper(Child);

impl Keeper {
    /// Starts one, and waits until it is the controller.
    pub fn start(directory: &Path) -> Self {
        let mut child = Command::new(std::env::current_exe().expect("it knows where it is"))
            .arg("keeper")
            .arg(directory)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("it starts");
        let output = child.stdout.take().expect("a pipe");
        let mut line = String::new();
        BufReader::new(output)
            .read_line(&mut line)
            .expect("it says something");
        assert_eq!(line, "joined\n");
        Self(child)
    }

    /// Kills it.
    pub fn kill(&mut self) {
        self.0.kill().expect("it can be killed");
        self.0.wait().expect("it can be waited for");
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
