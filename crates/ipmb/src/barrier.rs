//! Process barriers, which spare each message its fences.

use std::sync::Once;

/// Prepares for them, once. To be called before anything is shared.
pub(crate) fn prepare() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        if !ipmb_sys::has_process_barrier() {
            return;
        }
        ipmb_lane::set_process_barrier(ipmb_sys::process_barrier);
        if ipmb_sys::is_single_threaded() {
            return take_part();
        }
        // That takes some 10 ms, for which no join has to wait. Without it all goes on with fences.
        let _ = ipmb_sys::start_thread("ipmb-barrier", None, take_part);
    });
}

fn take_part() {
    match ipmb_sys::join_process_barriers() {
        Ok(()) => ipmb_lane::take_part_in_barriers(),
        Err(error) => tracing::debug!(%error, "no process barriers: messages take fences"),
    }
}
