//! What ours does when it is attacked as 0.8.5 cannot stand; the table of `cargo xtask compare`.

use std::process::Command;

#[test]
fn ours_stands_what_the_old_one_does_not() {
    let program = env!("CARGO_BIN_EXE_ipmb-bench");
    let output = Command::new(program).arg("--attacks").output();
    let output = output.expect("the program starts");
    let table = String::from_utf8_lossy(&output.stdout).into_owned();
    println!("{table}");
    assert!(output.status.success(), "{table}");
    assert_eq!(table.lines().count(), 10, "{table}");
}
