//! The kinds of events that matter to an operator, each with the MESSAGE_ID under which the
//! journal knows it (systemd.journal-fields(7)) and the catalog explains it. An id is never used
//! for another kind of event, also when its own is gone.

/// A kind of event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct MessageId(&'static str);

impl MessageId {
    /// 32 lower-case hexadecimal digits.
    pub const fn as_str(self) -> &'static str {
        self.0
    }
}

macro_rules! message_ids {
    ($($(#[$doc:meta])* $name:ident = $id:literal;)*) => {
        $($(#[$doc])* pub const $name: MessageId = MessageId($id);)*

        /// Every kind of event with the name of its constant.
        pub const ALL: &[(&str, MessageId)] = &[$((stringify!($name), $name)),*];
    };
}

message_ids! {
    /// The process runs; nothing is served yet.
    STARTED = "6f47d3e1395d4956bcc487e98b402e99";
    /// Every listener accepts.
    READY = "6a31c7ec408d4960887dd2ed31d57c3e";
    /// A listening socket came from systemd or a predecessor.
    LISTENER_ADOPTED = "948202fed3b74b548b99dbf7c3d6b0a6";
    /// A listening socket was made by batond itself.
    LISTENER_BOUND = "4c13f5b6043f4874bcd4e7a7c4aca720";
    /// A listening socket is not listened on any more.
    LISTENER_CLOSED = "93f31334a70343dcbb95a747bcb3f0c9";
    /// Connections cannot be accepted for now.
    ACCEPT_FAILING = "88e9c9bc373c4736a5c98e944d77db5a";
    /// `limits.clients` is reached; newcomers get 503.
    CLIENT_LIMIT_REACHED = "8493906eab5d48a28423908ffe169d01";
    /// The process may open too few descriptors for `limits.clients`.
    FD_LIMIT_LOW = "7e28515fff9a4d3cb1deb40e3d2285a7";
    /// A backend's connections broke.
    BACKEND_LOST = "53868cd85668491db7e38f2ccdd9fe79";
    /// No backend of a service can be reached; newcomers wait.
    BACKENDS_AWAY = "12fffc19f1a142b1acd27db435043a8e";
    /// A backend of the service can be reached again.
    BACKENDS_BACK = "e2dc32dd597a4859baf280c8f54737aa";
    /// `restart.max_held` newcomers wait for a service; more get 503.
    HOLD_FULL = "0fe2ec61df4f4c7d80bc381bf6455a0c";
    /// A peer broke RFC 6455, for instance with a close code that may not be sent.
    PROTOCOL_VIOLATION = "c4e797812fed42d88b9f7033a6d743af";
    /// Clients begin to be told to leave.
    DRAIN_STARTED = "fa5f61abc550404984068fbb73c52cb8";
    /// Every client has left; carries the report.
    DRAIN_FINISHED = "83bec94eca334830a32223fcc2b48ca0";
    /// Clients were cut off because they had not left in time.
    DRAIN_DEADLINE_PASSED = "6a781f6eaded4750a405980734594a8a";
    /// The restart or drain of a service begins.
    JOB_STARTED = "7d825048758b43b1b6f143f7768a37fc";
    /// The restart or drain of a service is over; carries the report.
    JOB_DONE = "fcdf0c5628e247809ccabb6adbad3a49";
    /// The restart or drain of a service was refused, cancelled, or failed; carries the report.
    JOB_FAILED = "105be165f40844fab1df0e4e181e07e1";
    /// The host is about to go down.
    HOST_GOES_DOWN = "5fb0afa3a7c841d493655f6a729330a0";
    /// The host stays up after all.
    HOST_STAYS = "78266503e38049e1bb8117a00ec04bfa";
    /// A successor is being started.
    HANDOFF_STARTED = "87daf0d451574b08934f59fb333a4473";
    /// The successor serves.
    HANDOFF_SUCCEEDED = "9147a4c9dcd1400fbc342a60e8f19c51";
    /// The successor does not serve; this process goes on.
    HANDOFF_FAILED = "cb4ae5fb08394dd09c134f25b0e2312b";
    /// The successor that served is dead; its predecessor ends with it.
    SUCCESSOR_ENDED = "5f7ad26f66db45caaf446ebe46031e61";
    /// This process serves in the place of its predecessor.
    TOOK_OVER = "7d24115e8efd46f788f76b6aa78f2903";
    /// The daemon was asked to end.
    STOPPING = "b390fa7b87e14da5a3119652037f26af";
    /// The configuration on disk has mistakes.
    CONFIGURATION_REFUSED = "a4b776c520ce4b8eafa6ee6394a429ea";
    /// Another configuration is in use.
    RELOADED = "ad603f6040f543738a1d0dda24a72265";
    /// A certificate that was renewed is in service.
    CERTIFICATE_SWAPPED = "b72307f483be469f9152fbb9ea7e0e59";
    /// A certificate on disk is not served, since it is worse than the one in service.
    CERTIFICATE_REFUSED = "73485c6984d940159ffb722968ac3389";
    /// A unit that renews certificates is started.
    RENEWAL_STARTED = "af8287ac60d24a7cad916667a4e64ce0";
    /// It could not be started, or failed.
    RENEWAL_FAILED = "560f1da70f24457db6d63efaaf39db8b";
    /// Something is wrong until somebody does something about it.
    PROBLEM_RAISED = "ee691f906ada442e905cad4d62e19a0f";
    /// It is wrong no longer.
    PROBLEM_CLEARED = "6f419d7c95b04762a357c08e0fc93001";
    /// systemd's descriptor store holds less than it was given.
    FD_STORE_TOO_SMALL = "31b48d25d414491996d052b3998a40bc";
    /// A TLS handshake did not come about, or many did not.
    TLS_HANDSHAKE_FAILED = "fe4e14803d2a49768a0e86703489e778";
    /// The log took no entries for a while, and some were lost.
    LOG_ENTRIES_LOST = "9d6e3f3cdf584cf3b70bf38d822b2502";
    /// Entries that repeated others were left out.
    LOG_ENTRIES_LEFT_OUT = "4fa1dc2d1a054ac6b538f0e76ddded35";
}

/// Whether a field may be used with [`event!`](crate::event).
#[doc(hidden)]
pub const fn is_own_field(name: &str) -> bool {
    matches!(name.as_bytes(), [b'b', b'a', b't', b'o', b'n', b'_', _, ..])
}

/// Logs an event of a kind that has a MESSAGE_ID: a level of `tracing::Level`, the kind, fields
/// and the text as for `format!`. `%` before a value means its `Display`, `?` its `Debug`.
///
/// The names of fields begin with `baton_`; the journal shows them in upper case. In use are
/// `baton_address`, `baton_alert` (of TLS, as a number), `baton_back` (clients that came back),
/// `baton_backend`, `baton_cause` (the name of a finding), `baton_certificate`, `baton_client` (its
/// address or network), `baton_clients` (how many), `baton_closed_cleanly` (clients), `baton_count`
/// (of what the text says), `baton_departure`, `baton_discarded` (messages), `baton_failures` (how
/// many), `baton_fingerprint` (SHA-256 of the leaf, in hexadecimal digits), `baton_generation` (of
/// the configuration), `baton_held` (clients), `baton_job`, `baton_listener`, `baton_listeners`
/// (how many), `baton_not_after`, `baton_old_fingerprint`, `baton_problem`, `baton_reason`,
/// `baton_refused` (clients), `baton_remedy`, `baton_service`, `baton_severity`, `baton_stored`,
/// `baton_subject`, `baton_successor` (its pid), `baton_timed_out` (clients), `baton_told`
/// (clients), `baton_unit`, `baton_version`: take one of them where it fits.
///
/// ```
/// use batond::control::message_id;
/// let (service, clients) = ("chat", 3);
/// batond::event!(INFO, message_id::DRAIN_STARTED, baton_service = service,
///     baton_clients = clients, "telling {clients} clients of {service} to come back");
/// let address = std::net::SocketAddr::from(([127, 0, 0, 1], 443));
/// batond::event!(INFO, message_id::LISTENER_BOUND, baton_address = %address, "bound {address}");
/// ```
///
/// A field with another prefix does not compile:
///
/// ```compile_fail
/// batond::event!(INFO, batond::control::message_id::READY, clients = 3, "ready");
/// ```
#[macro_export]
macro_rules! event {
    (@ $level:ident $kind:expr; {$($names:ident)*} [$($fields:tt)*]
        $name:ident = %$value:expr, $($rest:tt)+) => {
        $crate::event!(@ $level $kind; {$($names)* $name} [$($fields)* $name = %$value,] $($rest)+)
    };
    (@ $level:ident $kind:expr; {$($names:ident)*} [$($fields:tt)*]
        $name:ident = ?$value:expr, $($rest:tt)+) => {
        $crate::event!(@ $level $kind; {$($names)* $name} [$($fields)* $name = ?$value,] $($rest)+)
    };
    (@ $level:ident $kind:expr; {$($names:ident)*} [$($fields:tt)*]
        $name:ident = $value:expr, $($rest:tt)+) => {
        $crate::event!(@ $level $kind; {$($names)* $name} [$($fields)* $name = $value,] $($rest)+)
    };
    (@ $level:ident $kind:expr; {$($names:ident)*} [$($fields:tt)*]
        $text:literal $($args:tt)*) => {{
        const {
            $(assert!(
                $crate::control::message_id::is_own_field(stringify!($names)),
                "the name of a field begins with baton_",
            );)*
        }
        const KIND: $crate::control::message_id::MessageId = $kind;
        ::tracing::event!(
            ::tracing::Level::$level,
            message_id = KIND.as_str(),
            $($fields)*
            $text $($args)*
        )
    }};
    ($level:ident, $kind:expr, $($rest:tt)+) => {
        $crate::event!(@ $level $kind; {} [] $($rest)+)
    };
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::Path;

    /// Words of the text that are names of fields.
    fn fields(text: &str, into: &mut BTreeSet<String>) {
        let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        let is_field = |word: &&str| word.len() > 6 && word.starts_with("baton_");
        into.extend(words.filter(is_field).map(ToOwned::to_owned));
    }

    fn all_fields(folder: &Path, into: &mut BTreeSet<String>) {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                all_fields(&path, into);
            } else if !path.ends_with("control/message_id.rs") {
                fields(&fs::read_to_string(&path).expect("a source"), into);
            }
        }
    }

    #[test]
    fn the_fields_in_use_are_listed() {
        let doc = include_str!("message_id.rs");
        let (_, list) = doc.split_once("In use are").expect("a list");
        let (list, _) = list.split_once("take one of them").expect("its end");
        let (mut listed, mut used) = (BTreeSet::new(), BTreeSet::new());
        fields(list, &mut listed);
        all_fields(
            &Path::new(env!("CARGO_MANIFEST_DIR")).join("src"),
            &mut used,
        );
        assert_eq!(listed, used);
    }
}
