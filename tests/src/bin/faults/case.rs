//! One fault at one place in one scenario.

use std::fmt;
use std::str::FromStr;

use ipmb_sys::faults::{Call, Fault, Plan};

use crate::scenarios;

/// Which scenario, and what fails in it. Its text is `SCENARIO:CALL:ERROR:N[+]`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Case {
    /// Its name.
    pub scenario: &'static str,
    /// What fails.
    pub plan: Plan,
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Plan {
            call,
            fault,
            nth,
            from_then_on,
        } = self.plan;
        let plus = if from_then_on { "+" } else { "" };
        let fault = name_of(call, fault);
        write!(f, "{}:{call:?}:{fault}:{nth}{plus}", self.scenario)
    }
}

impl FromStr for Case {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let words: Vec<&str> = text.split(':').collect();
        let [scenario, call, fault, nth] = words[..] else {
            return Err(());
        };
        let known = |it: &&Call| format!("{it:?}").eq_ignore_ascii_case(call);
        let call = *Call::ALL.iter().find(known).ok_or(())?;
        let fault = call.faults().iter().find(|(name, _)| *name == fault);
        let number = nth.trim_end_matches('+');
        Ok(Self {
            scenario: scenarios::find(scenario).ok_or(())?.name,
            plan: Plan {
                call,
                fault: fault.ok_or(())?.1,
                nth: number.parse().map_err(drop)?,
                from_then_on: number != nth,
            },
        })
    }
}

/// What the fault of a call is called.
pub fn name_of(call: Call, fault: Fault) -> &'static str {
    let known = call.faults().iter().find(|(_, it)| *it == fault);
    known.map_or("?", |(name, _)| name)
}
