//! What a controller does differently.

/// What a controller does differently.
#[derive(Clone)]
pub(in crate::power) struct Quirks {
    /// `PATCH` wants `If-Match` with the ETag, which changes with every read.
    pub(in crate::power) etag: bool,
    /// `PATCH` wants `If-Match`, and there is no ETag.
    pub(in crate::power) star: bool,
    pub(in crate::power) patch_status: u16,
    pub(in crate::power) systems: &'static [(&'static str, &'static str)],
    /// Which of them is the machine.
    pub(in crate::power) ours: &'static str,
    pub(in crate::power) resets: Option<&'static [&'static str]>,
    pub(in crate::power) action_info: bool,
    pub(in crate::power) targets: Option<&'static [&'static str]>,
    pub(in crate::power) refuses_mode: bool,
    pub(in crate::power) only_continuous: bool,
    pub(in crate::power) settings_object: bool,
    pub(in crate::power) forgets_boot: bool,
    pub(in crate::power) forgets_power: bool,
    /// Reset answers 202, and its task is done after so many looks; or never well.
    pub(in crate::power) task: Option<u32>,
    pub(in crate::power) task_fails: bool,
    /// So many requests are answered 503 first.
    pub(in crate::power) busy: u32,
    /// Status of `POST` at the sessions; 0: no session service.
    pub(in crate::power) sessions: u16,
    pub(in crate::power) locked_root: bool,
    /// Every request with a body is refused with the body in the message, as 400.
    pub(in crate::power) echo: bool,
    pub(in crate::power) forbidden: bool,
    /// `GET` of the root without its slash is redirected here.
    pub(in crate::power) redirect: Option<String>,
    /// The systems are said to be here.
    pub(in crate::power) systems_at: Option<String>,
    /// The reset's target.
    pub(in crate::power) target_at: Option<String>,
    pub(in crate::power) powering_on: bool,
}

impl Default for Quirks {
    fn default() -> Self {
        Self {
            etag: false,
            star: false,
            patch_status: 200,
            systems: &[("1", "")],
            ours: "1",
            resets: Some(&["On", "ForceOff", "ForceRestart"]),
            action_info: false,
            targets: Some(&["None", "Pxe", "Hdd"]),
            refuses_mode: false,
            only_continuous: false,
            settings_object: false,
            forgets_boot: false,
            forgets_power: false,
            task: None,
            task_fails: false,
            busy: 0,
            sessions: 201,
            locked_root: false,
            echo: false,
            forbidden: false,
            redirect: None,
            systems_at: None,
            target_at: None,
            powering_on: false,
        }
    }
}
