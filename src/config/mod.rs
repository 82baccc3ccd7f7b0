//! Files become a checked [`Config`], or problems with file, line, column and a caret.

mod checked;

pub use checked::{
    Address, BackendAddress, BackendConfig, CertificateConfig, Config, HostPattern, Limits,
    ListenerConfig, Restart, ServiceConfig, Spread, TrustedPeer,
};
