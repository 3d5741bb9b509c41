//! What every backend of `ipmb-sys` promises: one function per clause of its contract.
//!
//! Clauses about death, fork, limits and other users need other processes: those run this binary
//! again, in the test [`helper`], which plays the role that the environment names.
#![cfg(target_os = "linux")]

mod channel;
mod channel_hostile;
mod claim;
mod directory;
mod fork;
mod memory;
mod process;
mod rendezvous;
mod rendezvous_death;
mod system_scope;
mod wait;

/// No test of its own: the body of the helper processes.
#[test]
fn helper() {
    let Some(role) = process::role() else { return };
    let (mut actor, script) = (process::Actor::new(), role.as_str());
    match script {
        "channel_starved" => channel::starved(),
        "channel_in_flight" => channel::in_flight(),
        "claim" => claim::claimant(&mut actor),
        "lease" => claim::leaseholder(&mut actor),
        "controller" => rendezvous_death::controller(&mut actor),
        "client" => rendezvous_death::client(&mut actor),
        "directory" => directory::resolver(&mut actor),
        "fork" => fork::forker(&mut actor),
        "wait_interrupted" => wait::interrupted(),
        "squatter" => system_scope::squatter(&mut actor),
        "system_controller" => system_scope::controller(&mut actor),
        other => panic!("no such role: {other}"),
    }
}
