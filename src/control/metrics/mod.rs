//! Metrics: a scrape comes in, what is known is read, and goes out as text.
//!
//! In this order: the [`endpoint`] takes a connection on the socket of `[metrics] listen` and
//! speaks HTTP; a [`source`] reads everything into one value, without asking the workers or the
//! control loop; [`families`] gives each figure its name and its labels; a [`page`] writes them,
//! in the format that the scraper asked for. [`process`] is what the kernel knows.
//!
//! To add a metric:
//!
//! 1. Count. What happens once a connection or less is a counter of
//!    [`edge::counters`](crate::edge::counters), of the whole edge or of a service; what the control
//!    loop knows goes into its [`View`](super::view::View). A relay touches nothing that is shared.
//! 2. Write it in [`families`], with a line of help that says what it counts: `batond_` before
//!    the name, the unit (seconds, bytes) at its end, and no `_total`, which is added to counters.
//!    A label has a value from the configuration or from a list in the program, never one that a
//!    client chose. All values of such a list are there from the start, so that a first
//!    occurrence shows as a change from 0.
//! 3. List it in batond(8) (`packaging/man/more/batond.8`), and where it can say that something is
//!    wrong, in the example of alerts, `packaging/prometheus-rules.yml`. `tests/metrics` compares
//!    what is served with the manual page, the alerts and the dashboard.

pub mod endpoint;
pub mod families;
pub mod page;
pub mod process;
pub mod source;
