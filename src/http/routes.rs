//! Every route with its description: a handler is registered here or not at all.
//!
//! One entry is one operation: path, handler, and what `/api/v1/openapi.json` says about it. A
//! new answer gets a schema in `openapi::schemas`; a test holds that each name used here exists.

mod messages;

use std::time::Duration;

use axum::Router;
use axum::handler::Handler;
use axum::http::StatusCode;
use axum::routing::{delete, get, post};
use tower_http::timeout::TimeoutLayer;

use super::openapi::{self, Doc, Operation, doc, page};
use super::verdict::MAX_WAIT_SECS;
use super::{
    HttpState, alarms, analyze, decisions, experiments, flagd, gates, health, operations, pages,
    verdict,
};

/// Longest time one answer may take.
pub(super) const DEADLINE: Duration = Duration::from_secs(20);
/// The same where an answer may be kept back.
const PATIENT_DEADLINE: Duration = Duration::from_secs(MAX_WAIT_SECS.unsigned_abs() + 20);

/// Routes with their descriptions.
#[derive(Debug, Default)]
pub(super) struct Routes {
    quick: Router<HttpState>,
    patient: Router<HttpState>,
    operations: Vec<Operation>,
}

impl Routes {
    /// GET, answered within the deadline.
    fn get<H, T>(mut self, path: &'static str, handler: H, about: Doc) -> Self
    where
        H: Handler<T, HttpState>,
        T: 'static,
    {
        self.operations.push(Operation { method: "get", path, doc: about });
        self.quick = self.quick.route(path, get(handler));
        self
    }

    /// GET that may be kept back by `wait`.
    fn patient_get<H, T>(mut self, path: &'static str, handler: H, about: Doc) -> Self
    where
        H: Handler<T, HttpState>,
        T: 'static,
    {
        self.operations.push(Operation { method: "get", path, doc: about });
        self.patient = self.patient.route(path, get(handler));
        self
    }

    /// POST, answered within the deadline.
    fn post<H, T>(mut self, path: &'static str, handler: H, about: Doc) -> Self
    where
        H: Handler<T, HttpState>,
        T: 'static,
    {
        self.operations.push(Operation { method: "post", path, doc: about });
        self.quick = self.quick.route(path, post(handler));
        self
    }

    /// DELETE, answered within the deadline.
    fn delete<H, T>(mut self, path: &'static str, handler: H, about: Doc) -> Self
    where
        H: Handler<T, HttpState>,
        T: 'static,
    {
        self.operations.push(Operation { method: "delete", path, doc: about });
        self.quick = self.quick.route(path, delete(handler));
        self
    }

    /// The operations, in order.
    pub(super) fn operations(&self) -> &[Operation] {
        &self.operations
    }

    /// The router of all of them, each with its deadline.
    pub(super) fn into_router(self) -> Router<HttpState> {
        let within = |limit| TimeoutLayer::with_status_code(StatusCode::GATEWAY_TIMEOUT, limit);
        let quick = self.quick.route_layer(within(DEADLINE));
        quick.merge(self.patient.route_layer(within(PATIENT_DEADLINE)))
    }
}

/// Everything the daemon answers.
pub(super) fn all() -> Routes {
    let routes = operated(gated(analyzed(decided(read(Routes::default())))));
    messages::all(routes).paged()
}

fn read(routes: Routes) -> Routes {
    routes
        .get(
            "/api/v1/experiments",
            experiments::list,
            doc("Experiments", "Every experiment with its newest verdict, and refused files")
                .answers("Experiments"),
        )
        .get(
            "/api/v1/experiments/{id}",
            experiments::one,
            doc("Experiments", "One experiment with the record it stands on")
                .answers("ExperimentDetail")
                .refuses(404, "There is no such experiment"),
        )
        .patient_get(
            "/api/v1/experiments/{id}/verdict",
            verdict::verdict,
            doc("Gates", "The flat verdict, at once or by long poll; 200 for any id")
                .pattern_query("wait", WAIT_WORDS, WAIT)
                .integer_query("since", "The sequence that is known already")
                .span_query("max_age", "An older verdict is `stale`, such as 10m")
                .header("If-None-Match", "The ETag of an earlier answer")
                .answers("FlatVerdict")
                .answers_empty(304, "Nothing but the age is other than under that ETag")
                .refuses(422, "A length of time cannot be read or is too long"),
        )
        .get(
            "/api/v1/experiments/{id}/evaluations",
            experiments::evaluations,
            doc("Experiments", "Evaluations of one experiment, newest first")
                .count_query("before", "Only those with a smaller number: the next page")
                .limit_query(experiments::MAX_PAGE)
                .answers("Evaluations")
                .refuses(404, "There is no such experiment"),
        )
        .get(
            "/api/v1/experiments/{id}/evaluations/{number}",
            experiments::evaluation,
            doc("Experiments", "One evaluation with its frozen record")
                .answers("EvaluationDetail")
                .refuses(404, "There is no such evaluation"),
        )
        .get(
            "/api/v1/alarms",
            alarms::list,
            doc("Alarms", "Alarms that are on, and those that cleared").answers("Alarms"),
        )
        .get(
            "/api/v1/proxies",
            alarms::proxies,
            doc("Alarms", "Which proxies predicted their outcomes").answers("Proxies"),
        )
        .get(
            "/api/v1/kill-list",
            alarms::kill_list,
            doc("Alarms", "Whom to stop first").answers("KillList"),
        )
}

fn decided(routes: Routes) -> Routes {
    routes
        .get(
            "/api/v1/decisions",
            decisions::list,
            doc("Decisions", "The decision log, newest first")
                .text_query("experiment", "Only of this experiment")
                .instant_query("since", "Only at or after this instant")
                .integer_query("before", "Only with a smaller id: the next page")
                .limit_query(decisions::MAX_PAGE)
                .answers("Decisions"),
        )
        .post(
            "/api/v1/decisions",
            decisions::record,
            doc("Decisions", "Record what a person decides")
                .with_token()
                .takes("NewDecision")
                .answers_with(201, "Decided")
                .refuses(404, "There is no such experiment")
                .refuses(409, "The experiment's life does not allow it")
                .refuses(413, "The body is too large")
                .refuses(415, "The body is not declared as JSON")
                .refuses(422, "A field is missing, unknown or too long"),
        )
}

fn analyzed(routes: Routes) -> Routes {
    routes
        .post(
            "/api/v1/analyze",
            analyze::answer,
            doc("Analysis", "The statistics engine on summary numbers; JSON lines are taken too")
                .takes("Questions")
                .answers_lines("Answers")
                .answers_lines_with(422, "Answers")
                .refuses(413, "The body is too large"),
        )
        .get(
            "/api/v1/analyze/methods",
            analyze::methods,
            doc("Analysis", "Every method with its input and output").answers("Methods"),
        )
        .get(
            "/api/v1/analyze/methods/{name}",
            analyze::method,
            doc("Analysis", "One method").answers("Method").refuses(404, "There is no such method"),
        )
}

fn gated(routes: Routes) -> Routes {
    routes
        .post("/gate/rollout", gates::rollout, door("May the rollout begin or take more traffic?"))
        .post("/gate/promote", gates::promote, door("May it become the default?"))
        .post(
            "/gate/rollback",
            gates::rollback,
            door("Must it be undone? Inverted: 200 undoes the rollout"),
        )
        .patient_get(
            "/gate/{experiment}",
            gates::one,
            doc("Gates", "One experiment's gate as JSON, for Spinnaker, Keptn, GitLab and curl")
                .choice_query("door", "What is asked", &["rollout", "promote", "rollback"])
                .pattern_query("allow", "Words that open beside continue, by commas", ALLOW)
                .span_query("max_age", "An older verdict is stale, such as 10m")
                .pattern_query("wait", WAIT_WORDS, WAIT)
                .integer_query("since", "The sequence that is known already")
                .boolean_query("fail", "Answer 403 where the gate is closed")
                .text_query("token", "A gate's token, where no header can be sent")
                .answers("Gate")
                .answers_with(403, "Gate")
                .refuses(401, "The settings ask for a token")
                .refuses(422, "A parameter cannot be read"),
        )
        .post(
            "/gate/{experiment}",
            gates::no_door,
            doc("Gates", "No door: never the status that an existing one answers with")
                .refuses(404, "There are rollout, promote and rollback"),
        )
}

/// A door of Flagger's.
fn door(summary: &'static str) -> Doc {
    doc("Gates", summary)
        .text_query("token", "A gate's token, where no header can be sent")
        .takes("FlaggerCall")
        .answers_text("The gate opens; one sentence")
        .answers_text_with(403, "The gate stays shut; one sentence")
        .refuses(413, "The body is too large")
}

fn operated(routes: Routes) -> Routes {
    routes
        .get(
            "/api/v1/sources",
            operations::sources,
            doc("Operations", "Sources and whether they answer").answers("Sources"),
        )
        .get(
            "/api/v1/openapi.json",
            openapi::serve,
            doc("Operations", "This document").answers("OpenApi"),
        )
        .get(
            "/healthz",
            health::alive,
            doc("Operations", "The process answers").answers_text("It does"),
        )
        .get(
            "/readyz",
            health::ready,
            doc("Operations", "Files were read, and the store takes a write")
                .answers_text("It is ready")
                .refuses(503, "It is starting, or the store fails"),
        )
        .get(
            "/flagd/flags.json",
            flagd::flags,
            doc("Operations", "Flags that flagd pulls from here, off after a trip")
                .header("If-None-Match", "The ETag of an earlier answer")
                .answers_kind("application/json", "A file of flags in flagd's format")
                .answers_empty(304, "The client has this file")
                .refuses(401, "Every set of flags has a token, and none was sent")
                .refuses(404, "No action of kind flagd is configured"),
        )
        .get(
            "/metrics",
            health::metrics,
            doc("Operations", "Metrics for Prometheus: OpenMetrics for who accepts it, else 0.0.4")
                .answers_kinds(&["application/openmetrics-text", "text/plain"], "The exposition"),
        )
}

impl Routes {
    /// Pages for people.
    fn paged(self) -> Self {
        self.get("/", pages::portfolio, page("The portfolio"))
            .get("/x/{id}", pages::experiment, page("One experiment").refuses(404, NO_PAGE))
            .get(
                "/x/{id}/e/{number}",
                pages::evaluation,
                page("One evaluation, by number or by id").refuses(404, NO_PAGE),
            )
            .get(
                "/log",
                pages::log,
                page("The decision log").text_query("experiment", "Only of this experiment"),
            )
            .get("/alarms", pages::alarms, page("Alarms"))
            .get(
                "/assets/style.css",
                pages::style,
                doc("Pages", "The style sheet").answers_kind("text/css", "The style sheet"),
            )
    }
}

/// What `gate::Allowed::parse` reads.
const ALLOW: &str = "^ *(collecting|continue|hold|change|stale)? *\
                     (, *(collecting|continue|hold|change|stale)? *)*$";
/// Up to [`MAX_WAIT_SECS`].
const WAIT: &str = "^ *(([0-5]?[0-9]|60)s?|[01]m|[0-9]{1,4}ms) *$";
const WAIT_WORDS: &str = "Keep the answer back until there is news, at most 60s";
const NO_PAGE: &str = "There is no such page";
