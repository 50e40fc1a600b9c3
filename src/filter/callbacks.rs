//! What Envoy calls: the only file that exports functions.
//!
//! Every export is a crossing for every stream of both roles, so there is none that nobody needs: `on_done` for
//! instance, which Envoy then takes for done. The calls come by the number of a context; a context that is not there
//! (a plugin that was refused) is passed over in silence, since one panic kills the VM of a worker for everybody.
#![allow(
    unsafe_code,
    reason = "an exported name is a promise to the linker; the allocator hands memory to the host"
)]

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use tollgate_core::attempt::Follows;

use crate::Plugin;
use crate::abi;
use crate::bank::{self, News};
use crate::host::{self, call};

/// What Envoy is to do with what it has shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Pass it on.
    Continue,
    /// Hold it, until more has come or for good.
    Pause,
}

impl Action {
    fn number(self) -> u32 {
        match self {
            Self::Continue => abi::CONTINUE,
            Self::Pause => abi::PAUSE,
        }
    }
}

/// What happens to a stream that was told something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Then {
    /// Nothing: it waits on, or was answered.
    Waits,
    /// The request goes on.
    GoesOn,
    /// The reply goes on.
    ReplyGoes,
}

/// One request in one role. What a role does not say anything to goes on.
pub(crate) trait Stream {
    fn request_head(&mut self, follows: Follows) -> Action;
    fn request_body(&mut self, size: usize, follows: Follows) -> Action;
    fn request_trailers(&mut self) -> Action {
        Action::Continue
    }
    fn reply_head(&mut self, follows: Follows) -> Action;
    fn reply_body(&mut self, _size: usize, _follows: Follows) -> Action {
        Action::Continue
    }
    fn reply_trailers(&mut self) -> Action {
        Action::Continue
    }
    /// What it waited for has come.
    fn told(&mut self, _news: News) -> Then {
        Then::Waits
    }
    /// The request is over, and Envoy is about to write its access log.
    fn ended(&mut self) {}
}

#[derive(Clone)]
enum Context {
    Plugin(Rc<RefCell<Plugin>>),
    Stream(Rc<RefCell<dyn Stream>>),
}

thread_local! {
    static CONTEXTS: RefCell<BTreeMap<u32, Context>> = const { RefCell::new(BTreeMap::new()) };
}

/// A clone, so that a callback within a callback finds the table free.
fn find(context: u32) -> Option<Context> {
    CONTEXTS.with(|all| all.try_borrow().ok()?.get(&context).cloned())
}

fn keep(number: u32, context: Context) {
    CONTEXTS.with(|all| {
        if let Ok(mut all) = all.try_borrow_mut() {
            all.insert(number, context);
        }
    });
}

fn on_stream(context: u32, run: impl FnOnce(&mut dyn Stream) -> Action) -> u32 {
    let action = match find(context) {
        Some(Context::Stream(stream)) => match stream.try_borrow_mut() {
            Ok(mut stream) => run(&mut *stream),
            Err(_) => Action::Continue,
        },
        Some(Context::Plugin(_)) | None => Action::Continue,
    };
    action.number()
}

fn on_plugin(context: u32, run: impl FnOnce(&mut Plugin)) {
    if let Some(Context::Plugin(plugin)) = find(context)
        && let Ok(mut plugin) = plugin.try_borrow_mut()
    {
        run(&mut plugin);
    }
}

fn follows(end_of_stream: u32) -> Follows {
    match end_of_stream {
        0 => Follows::More,
        _ => Follows::Nothing,
    }
}

#[unsafe(no_mangle)]
extern "C" fn proxy_abi_version_0_2_1() {}

#[unsafe(no_mangle)]
extern "C" fn _initialize() {
    host::log_to_envoy();
    std::panic::set_hook(Box::new(|panic| log::error!("{panic}")));
}

/// Room for what the host is about to give us; [`host`] takes it over as a `Vec` of just this capacity.
#[unsafe(export_name = "malloc")]
extern "C" fn allocate(size: usize) -> *mut u8 {
    Box::into_raw(Box::<[u8]>::new_uninit_slice(size)).cast()
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_context_create(context: u32, plugin: u32) {
    if plugin == 0 {
        keep(context, Context::Plugin(Rc::default()));
    } else {
        on_plugin(plugin, |plugin| {
            if let Some(stream) = plugin.stream(context) {
                keep(context, Context::Stream(stream));
            }
        });
    }
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_configure(context: u32, _size: usize) -> u32 {
    let mut accepted = false;
    on_plugin(context, |plugin| {
        accepted = plugin.configure(call::Context(context), &host::configuration());
    });
    u32::from(accepted)
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_tick(context: u32) {
    on_plugin(context, |plugin| plugin.tick());
    tell_news();
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_grpc_receive(context: u32, token: u32, size: usize) {
    let message = call::answer(size);
    on_plugin(context, |plugin| plugin.answered(token, &message));
    tell_news();
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_grpc_close(context: u32, token: u32, _status: u32) {
    on_plugin(context, |plugin| plugin.call_failed(token));
    tell_news();
}

/// Those who wait hear what has come. Nothing is borrowed while one of them goes on, since the host calls back from
/// within.
fn tell_news() {
    bank::tell(|context, news| {
        let Some(Context::Stream(stream)) = find(context.0) else {
            return;
        };
        call::act_for(context);
        let then = stream
            .try_borrow_mut()
            .map_or(Then::Waits, |mut stream| stream.told(news));
        match then {
            Then::Waits => {}
            Then::GoesOn => call::go_on(),
            Then::ReplyGoes => call::let_reply_go(),
        }
    });
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_request_headers(context: u32, _count: usize, end_of_stream: u32) -> u32 {
    on_stream(context, |stream| {
        stream.request_head(follows(end_of_stream))
    })
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_request_body(context: u32, size: usize, end_of_stream: u32) -> u32 {
    on_stream(context, |stream| {
        stream.request_body(size, follows(end_of_stream))
    })
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_request_trailers(context: u32, _count: usize) -> u32 {
    on_stream(context, |stream| stream.request_trailers())
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_response_headers(context: u32, _count: usize, end_of_stream: u32) -> u32 {
    on_stream(context, |stream| stream.reply_head(follows(end_of_stream)))
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_response_body(context: u32, size: usize, end_of_stream: u32) -> u32 {
    on_stream(context, |stream| {
        stream.reply_body(size, follows(end_of_stream))
    })
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_response_trailers(context: u32, _count: usize) -> u32 {
    on_stream(context, |stream| stream.reply_trailers())
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_log(context: u32) {
    on_stream(context, |stream| {
        stream.ended();
        Action::Continue
    });
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_delete(context: u32) {
    // Dropped outside of the table: what it holds may look into it.
    let _gone = CONTEXTS.with(|all| all.try_borrow_mut().ok()?.remove(&context));
}
