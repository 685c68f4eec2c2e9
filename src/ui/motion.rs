//! Whether anything moves by itself: what the user chose, or else what the system asks for.
//!
//! The system is asked once, on a thread of its own with a limit of time, and never by the thread that
//! draws. Where it does not tell, everything moves.

use eframe::egui::{Context, style::ScrollAnimation};

use super::app::App;
use super::desk::{Inbox, Message};
use super::preferences::MotionChoice;

/// How long things take that egui moves, in seconds.
const MOVES: f32 = 0.12;

impl App {
    /// Whether nothing may move by itself: no eased camera, no fading meshes, no gliding lists.
    pub fn reduced_motion(&self) -> bool {
        match self.preferences.motion {
            MotionChoice::System => self.system_reduces_motion,
            MotionChoice::Reduced => true,
            MotionChoice::Full => false,
        }
    }

    /// Has everything that moves obey.
    pub(super) fn apply_motion(&mut self) {
        let reduced = self.reduced_motion();
        self.viewport.set_reduced_motion(reduced);
        apply(&self.ctx, reduced);
    }
}

fn apply(ctx: &Context, reduced: bool) {
    ctx.all_styles_mut(|style| {
        style.animation_time = if reduced { 0.0 } else { MOVES };
        style.scroll_animation = if reduced {
            ScrollAnimation::none()
        } else {
            ScrollAnimation::default()
        };
    });
}

/// Asks the system, elsewhere.
pub(super) fn ask(inbox: Inbox) {
    // Not a lane: a system that does not answer must hold nothing up, not even the end of the window.
    let thread = std::thread::Builder::new()
        .name("orfeas-motion".into())
        .spawn(move || match system::reduces_motion() {
            Some(reduced) => inbox.send(Message::ReducedMotion(reduced)),
            None => tracing::debug!("the system does not tell whether motion is to be reduced"),
        });
    if let Err(error) = thread {
        tracing::debug!(%error, "the system is not asked whether motion is to be reduced");
    }
}

/// The desktop's settings over D-Bus, as the portal hands them out to every desktop's programs.
#[cfg(target_os = "linux")]
mod system {
    use std::time::Duration;

    use zbus::zvariant::{OwnedValue, Value};

    const LIMIT: Duration = Duration::from_secs(2);

    pub(super) fn reduces_motion() -> Option<bool> {
        pollster::block_on(async {
            let bus =
                zbus::connection::Builder::session().map(|builder| builder.method_timeout(LIMIT));
            let bus = bus.ok()?.build().await.ok()?;
            // The common setting of newer desktops, then GNOME's, which most others follow.
            if let Some(reduced) = read(&bus, "org.freedesktop.appearance", "reduced-motion").await
            {
                return u32::try_from(innermost(&reduced)).ok().map(|it| it == 1);
            }
            let animations = read(&bus, "org.gnome.desktop.interface", "enable-animations").await?;
            let animations = bool::try_from(innermost(&animations)).ok()?;
            Some(!animations)
        })
    }

    async fn read(bus: &zbus::Connection, namespace: &str, key: &str) -> Option<OwnedValue> {
        let reply = bus
            .call_method(
                Some("org.freedesktop.portal.Desktop"),
                "/org/freedesktop/portal/desktop",
                Some("org.freedesktop.portal.Settings"),
                "Read",
                &(namespace, key),
            )
            .await;
        reply.ok()?.body().deserialize().ok()
    }

    /// The portal wraps what it read once more than it has to.
    fn innermost<'value>(value: &'value Value<'value>) -> &'value Value<'value> {
        match value {
            Value::Value(inner) => innermost(inner),
            value => value,
        }
    }
}

/// The accessibility settings, by the system's own tool: asking for them directly takes unsafe code.
#[cfg(target_os = "macos")]
mod system {
    use std::process::Command;

    pub(super) fn reduces_motion() -> Option<bool> {
        let answer = Command::new("/usr/bin/defaults")
            .args(["read", "com.apple.universalaccess", "reduceMotion"])
            .output()
            .ok()?;
        // The setting is not there until it was first switched.
        Some(answer.status.success() && answer.stdout.trim_ascii() == b"1")
    }
}

/// The registry, by the system's own tool: asking for it directly takes unsafe code.
#[cfg(target_os = "windows")]
mod system {
    use std::os::windows::process::CommandExt;
    use std::process::Command;

    /// Opens no console.
    const CREATE_NO_WINDOW: u32 = 0x0800_0000;

    pub(super) fn reduces_motion() -> Option<bool> {
        let root = std::env::var_os("SystemRoot")?;
        let tool = std::path::Path::new(&root).join(r"System32\reg.exe");
        let answer = Command::new(tool)
            .args([
                "query",
                r"HKCU\Control Panel\Desktop",
                "/v",
                "UserPreferencesMask",
            ])
            .creation_flags(CREATE_NO_WINDOW)
            .output()
            .ok()?;
        let text = String::from_utf8_lossy(&answer.stdout);
        let mask = text.split_whitespace().last()?;
        // The fifth byte's second bit: animations inside windows.
        let byte = u8::from_str_radix(mask.get(8..10)?, 16).ok()?;
        Some(byte & 0x02 == 0)
    }
}

#[cfg(not(any(target_os = "linux", target_os = "macos", target_os = "windows")))]
mod system {
    pub(super) fn reduces_motion() -> Option<bool> {
        None
    }
}
