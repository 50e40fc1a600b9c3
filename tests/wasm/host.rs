//! Envoy, as far as one filter can tell: enough of the proxy-wasm host to lead requests through the real `.wasm` and to
//! count what crosses the border.

use std::collections::BTreeMap;

use wasmi::{
    Caller, Config, Engine, Extern, Instance, Linker, Memory, Module, Store, TypedFunc, Val,
};

/// Header maps and bodies by their numbers in the ABI.
const REQUEST: u32 = 0;
const REPLY: u32 = 2;
const REQUEST_BODY: u32 = 0;
const REPLY_BODY: u32 = 1;
const PLUGIN_CONFIGURATION: u32 = 7;

const OK: i32 = 0;
const NOT_FOUND: i32 = 1;
const CAS_MISMATCH: i32 = 8;

/// What the host keeps.
#[derive(Default)]
pub(crate) struct World {
    pub(crate) headers: BTreeMap<u32, Vec<(String, String)>>,
    pub(crate) bodies: BTreeMap<u32, Vec<u8>>,
    pub(crate) properties: BTreeMap<String, Vec<u8>>,
    pub(crate) metrics: Vec<String>,
    /// Data of all workers, each with its version.
    pub(crate) shared: BTreeMap<String, (Vec<u8>, u32)>,
    pub(crate) configuration: Vec<u8>,
    /// The status and body of an answer of the filter's own.
    pub(crate) answered: Option<(u32, Vec<u8>)>,
    /// Calls by name since the last look.
    pub(crate) calls: BTreeMap<&'static str, u32>,
    /// Those among them for which the host had to put bytes into the filter's memory.
    pub(crate) returning_bytes: u32,
    /// Instructions of the filter since the last look, more or less: what the interpreter charges for them.
    pub(crate) work: u64,
}

/// The filter in its host.
pub(crate) struct Host {
    store: Store<World>,
    instance: Instance,
    memory: Memory,
}

type Called<'a> = Caller<'a, World>;

fn memory(caller: &Called<'_>) -> Memory {
    caller
        .get_export("memory")
        .and_then(Extern::into_memory)
        .expect("a memory")
}

fn read(caller: &Called<'_>, at: i32, size: i32) -> Vec<u8> {
    let (at, size) = (
        usize::try_from(at).expect("an address"),
        usize::try_from(size).expect("a size"),
    );
    memory(caller).data(caller)[at..at + size].to_vec()
}

fn text(caller: &Called<'_>, at: i32, size: i32) -> String {
    String::from_utf8(read(caller, at, size)).expect("text")
}

fn write(caller: &mut Called<'_>, at: i32, bytes: &[u8]) {
    let at = usize::try_from(at).expect("an address");
    memory(caller).data_mut(caller)[at..at + bytes.len()].copy_from_slice(bytes);
}

/// As Envoy does: asks the filter for memory, fills it, and tells where it is.
fn give(caller: &mut Called<'_>, bytes: &[u8], data: i32, size: i32) -> i32 {
    caller.data_mut().returning_bytes += 1;
    let length = i32::try_from(bytes.len()).expect("not that much");
    let at = if length == 0 {
        0
    } else {
        let allocate: TypedFunc<i32, i32> = caller
            .get_export("malloc")
            .and_then(Extern::into_func)
            .expect("an allocator")
            .typed(&*caller)
            .expect("its type");
        allocate.call(&mut *caller, length).expect("memory")
    };
    write(caller, at, bytes);
    write(caller, data, &at.to_le_bytes());
    write(caller, size, &length.to_le_bytes());
    OK
}

fn serialised(headers: &[(String, String)]) -> Vec<u8> {
    let number = |value: usize| u32::try_from(value).expect("small").to_le_bytes();
    let mut bytes = number(headers.len()).to_vec();
    for (name, value) in headers {
        bytes.extend(number(name.len()));
        bytes.extend(number(value.len()));
    }
    for (name, value) in headers {
        bytes.extend(name.bytes().chain([0]).chain(value.bytes()).chain([0]));
    }
    bytes
}

fn count(caller: &mut Called<'_>, name: &'static str) {
    *caller.data_mut().calls.entry(name).or_default() += 1;
}

#[allow(clippy::too_many_lines, reason = "a table of host calls")]
fn link(linker: &mut Linker<World>) -> Result<(), wasmi::Error> {
    const ENV: &str = "env";
    linker.func_wrap(
        ENV,
        "proxy_log",
        |caller: Called<'_>, _level: i32, at: i32, size: i32| {
            eprintln!("{}", text(&caller, at, size));
            OK
        },
    )?;
    linker.func_wrap(
        ENV,
        "proxy_set_tick_period_milliseconds",
        |_: Called<'_>, _: u32| OK,
    )?;
    linker.func_wrap(
        ENV,
        "proxy_get_current_time_nanoseconds",
        |mut caller: Called<'_>, at: i32| {
            count(&mut caller, "now");
            write(
                &mut caller,
                at,
                &1_800_000_000_000_000_000_u64.to_le_bytes(),
            );
            OK
        },
    )?;
    linker.func_wrap(
        ENV,
        "proxy_get_header_map_pairs",
        |mut caller: Called<'_>, map: u32, data: i32, size: i32| {
            count(&mut caller, "get_header_map_pairs");
            let bytes = serialised(caller.data().headers.get(&map).map_or(&[], Vec::as_slice));
            give(&mut caller, &bytes, data, size)
        },
    )?;
    linker.func_wrap(
        ENV,
        "proxy_get_header_map_value",
        |mut caller: Called<'_>, map: u32, name: i32, name_size: i32, data: i32, size: i32| {
            count(&mut caller, "get_header_map_value");
            let name = text(&caller, name, name_size);
            let headers = caller.data().headers.get(&map);
            let value = headers
                .and_then(|all| all.iter().find(|(known, _)| *known == name))
                .map(|(_, value)| value.clone());
            match value {
                Some(value) => give(&mut caller, value.as_bytes(), data, size),
                None => NOT_FOUND,
            }
        },
    )?;
    linker.func_wrap(
        ENV,
        "proxy_replace_header_map_value",
        |mut caller: Called<'_>,
         map: u32,
         name: i32,
         name_size: i32,
         value: i32,
         value_size: i32| {
            count(&mut caller, "replace_header_map_value");
            let (name, value) = (
                text(&caller, name, name_size),
                text(&caller, value, value_size),
            );
            let headers = caller.data_mut().headers.entry(map).or_default();
            headers.retain(|(known, _)| *known != name);
            headers.push((name, value));
            OK
        },
    )?;
    linker.func_wrap(
        ENV,
        "proxy_remove_header_map_value",
        |mut caller: Called<'_>, map: u32, name: i32, name_size: i32| {
            count(&mut caller, "remove_header_map_value");
            let name = text(&caller, name, name_size);
            caller
                .data_mut()
                .headers
                .entry(map)
                .or_default()
                .retain(|(known, _)| *known != name);
            OK
        },
    )?;
    linker.func_wrap(
        ENV,
        "proxy_get_buffer_bytes",
        |mut caller: Called<'_>, buffer: u32, start: u32, max: u32, data: i32, size: i32| {
            count(&mut caller, "get_buffer_bytes");
            let world = caller.data();
            let bytes = match buffer {
                PLUGIN_CONFIGURATION => world.configuration.clone(),
                other => world.bodies.get(&other).cloned().unwrap_or_default(),
            };
            let start = usize::try_from(start).expect("an offset").min(bytes.len());
            let end = start
                .saturating_add(usize::try_from(max).expect("a size"))
                .min(bytes.len());
            give(&mut caller, &bytes[start..end], data, size)
        },
    )?;
    linker.func_wrap(
        ENV,
        "proxy_set_buffer_bytes",
        |mut caller: Called<'_>, buffer: u32, start: u32, front: u32, data: i32, data_size: i32| {
            count(&mut caller, "set_buffer_bytes");
            // Envoy takes what replaces the beginning, or all.
            assert_eq!(start, 0, "only the front of a body can be replaced");
            let mut bytes = read(&caller, data, data_size);
            let front = usize::try_from(front).expect("a size");
            let body = caller.data_mut().bodies.entry(buffer).or_default();
            bytes.extend_from_slice(body.get(front..).unwrap_or_default());
            *body = bytes;
            OK
        },
    )?;
    linker.func_wrap(
        ENV,
        "proxy_get_property",
        |mut caller: Called<'_>, path: i32, path_size: i32, data: i32, size: i32| {
            count(&mut caller, "get_property");
            let path = text(&caller, path, path_size);
            match caller.data().properties.get(&path).cloned() {
                Some(value) => give(&mut caller, &value, data, size),
                None => NOT_FOUND,
            }
        },
    )?;
    linker.func_wrap(
        ENV,
        "proxy_set_property",
        |mut caller: Called<'_>, path: i32, path_size: i32, value: i32, value_size: i32| {
            count(&mut caller, "set_property");
            let (path, value) = (
                text(&caller, path, path_size),
                read(&caller, value, value_size),
            );
            caller.data_mut().properties.insert(path, value);
            OK
        },
    )?;
    linker.func_wrap(
        ENV,
        "proxy_call_foreign_function",
        |mut caller: Called<'_>, _: i32, _: i32, _: i32, _: i32, data: i32, size: i32| {
            count(&mut caller, "call_foreign_function");
            write(&mut caller, data, &0_i32.to_le_bytes());
            write(&mut caller, size, &0_i32.to_le_bytes());
            OK
        },
    )?;
    linker.func_wrap(
        ENV,
        "proxy_send_local_response",
        |mut caller: Called<'_>,
         status: u32,
         _: i32,
         _: i32,
         body: i32,
         body_size: i32,
         _: i32,
         _: i32,
         _: i32| {
            count(&mut caller, "send_local_response");
            let body = read(&caller, body, body_size);
            caller.data_mut().answered = Some((status, body));
            OK
        },
    )?;
    linker.func_wrap(
        ENV,
        "proxy_get_shared_data",
        |mut caller: Called<'_>, key: i32, key_size: i32, data: i32, size: i32, version: i32| {
            count(&mut caller, "get_shared_data");
            let key = text(&caller, key, key_size);
            match caller.data().shared.get(&key).cloned() {
                Some((value, at)) => {
                    write(&mut caller, version, &at.to_le_bytes());
                    give(&mut caller, &value, data, size)
                }
                None => NOT_FOUND,
            }
        },
    )?;
    linker.func_wrap(
        ENV,
        "proxy_set_shared_data",
        |mut caller: Called<'_>, key: i32, key_size: i32, data: i32, size: i32, version: u32| {
            count(&mut caller, "set_shared_data");
            let (key, value) = (text(&caller, key, key_size), read(&caller, data, size));
            let shared = &mut caller.data_mut().shared;
            let at = shared.get(&key).map_or(0, |(_, at)| *at);
            if version != 0 && version != at {
                return CAS_MISMATCH;
            }
            shared.insert(key, (value, at + 1));
            OK
        },
    )?;
    linker.func_wrap(
        ENV,
        "proxy_define_metric",
        |mut caller: Called<'_>, _kind: u32, name: i32, name_size: i32, id: i32| {
            count(&mut caller, "define_metric");
            let name = text(&caller, name, name_size);
            let metrics = &mut caller.data_mut().metrics;
            metrics.push(name);
            let number = u32::try_from(metrics.len()).expect("few");
            write(&mut caller, id, &number.to_le_bytes());
            OK
        },
    )?;
    linker.func_wrap(
        ENV,
        "proxy_increment_metric",
        |mut caller: Called<'_>, _id: u32, _by: i64| {
            count(&mut caller, "increment_metric");
            OK
        },
    )?;
    linker.func_wrap(
        ENV,
        "proxy_record_metric",
        |mut caller: Called<'_>, _id: u32, _value: i64| {
            count(&mut caller, "record_metric");
            OK
        },
    )?;
    Ok(())
}

impl Host {
    /// Loads the filter. What it imports and this host does not know is there, and traps.
    pub(crate) fn load(wasm: &[u8]) -> Self {
        let mut config = Config::default();
        config.consume_fuel(true);
        let engine = Engine::new(&config);
        let module = Module::new(&engine, wasm).expect("a module");
        let mut linker = Linker::new(&engine);
        link(&mut linker).expect("host calls");
        let mut store = Store::new(&engine, World::default());
        store.set_fuel(u64::MAX).expect("fuel is counted");
        for import in module.imports() {
            if let Some(kind) = import.ty().func() {
                let name = import.name().to_owned();
                let unused =
                    move |_: Called<'_>, _: &[Val], _: &mut [Val]| -> Result<(), wasmi::Error> {
                        Err(wasmi::Error::new(format!("{name} is not expected here")))
                    };
                // An error where it is defined above, which is as it should be.
                let _ = linker.func_new(import.module(), import.name(), kind.clone(), unused);
            }
        }
        let instance = linker
            .instantiate_and_start(&mut store, &module)
            .expect("an instance");
        let memory = instance.get_memory(&store, "memory").expect("a memory");
        let mut host = Self {
            store,
            instance,
            memory,
        };
        host.call::<(), ()>("_initialize", ());
        host
    }

    fn call<P: wasmi::WasmParams, R: wasmi::WasmResults>(
        &mut self,
        name: &str,
        parameters: P,
    ) -> R {
        let function = self
            .instance
            .get_typed_func::<P, R>(&self.store, name)
            .expect(name);
        let before = self.store.get_fuel().expect("fuel is counted");
        let result = function
            .call(&mut self.store, parameters)
            .unwrap_or_else(|trap| panic!("{name}: {trap}"));
        let spent = before.saturating_sub(self.store.get_fuel().expect("fuel is counted"));
        self.world().work += spent;
        result
    }

    /// A plugin of this configuration under this number.
    pub(crate) fn plugin(&mut self, context: i32, configuration: &str) {
        self.world().configuration = configuration.as_bytes().to_vec();
        self.call::<(i32, i32), ()>("proxy_on_context_create", (context, 0));
        let size = i32::try_from(configuration.len()).expect("not that large");
        let accepted: i32 = self.call("proxy_on_configure", (context, size));
        assert_eq!(accepted, 1, "the configuration is accepted");
    }

    /// A stream of a plugin.
    pub(crate) fn stream(&mut self, context: i32, plugin: i32) {
        self.call::<(i32, i32), ()>("proxy_on_context_create", (context, plugin));
    }

    /// Heads: the action the filter asks for, 0 to go on and 1 to wait.
    pub(crate) fn request_head(&mut self, context: i32, end: bool) -> i32 {
        self.call("proxy_on_request_headers", (context, 0, i32::from(end)))
    }

    pub(crate) fn request_body(&mut self, context: i32, end: bool) -> i32 {
        let size = self.size(REQUEST_BODY);
        self.call("proxy_on_request_body", (context, size, i32::from(end)))
    }

    pub(crate) fn reply_head(&mut self, context: i32, end: bool) -> i32 {
        self.call("proxy_on_response_headers", (context, 0, i32::from(end)))
    }

    pub(crate) fn reply_body(&mut self, context: i32, end: bool) -> i32 {
        let size = self.size(REPLY_BODY);
        self.call("proxy_on_response_body", (context, size, i32::from(end)))
    }

    /// The stream is over.
    pub(crate) fn end(&mut self, context: i32, logs: bool) {
        if logs {
            self.call::<i32, ()>("proxy_on_log", context);
        }
        self.call::<i32, ()>("proxy_on_delete", context);
    }

    pub(crate) fn set_request(&mut self, headers: &[(&str, &str)], body: &[u8]) {
        self.set(REQUEST, headers, REQUEST_BODY, body);
    }

    pub(crate) fn set_reply(&mut self, headers: &[(&str, &str)], body: &[u8]) {
        self.set(REPLY, headers, REPLY_BODY, body);
    }

    pub(crate) fn set_reply_body(&mut self, body: &[u8]) {
        self.world().bodies.insert(REPLY_BODY, body.to_vec());
    }

    pub(crate) fn request(&self, name: &str) -> Option<&str> {
        let headers = self.store.data().headers.get(&REQUEST)?;
        headers
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }

    pub(crate) fn body_of_request(&self) -> &[u8] {
        self.store
            .data()
            .bodies
            .get(&REQUEST_BODY)
            .map_or(&[], Vec::as_slice)
    }

    pub(crate) fn world(&mut self) -> &mut World {
        self.store.data_mut()
    }

    /// What crossed since the last look: calls in all, and those that returned bytes.
    pub(crate) fn crossings(&mut self) -> (BTreeMap<&'static str, u32>, u32) {
        let world = self.world();
        (
            std::mem::take(&mut world.calls),
            std::mem::take(&mut world.returning_bytes),
        )
    }

    /// Bytes of memory that the VM holds.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.memory.data_size(&self.store)
    }

    fn set(&mut self, map: u32, headers: &[(&str, &str)], buffer: u32, body: &[u8]) {
        let owned = headers
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let owned = owned.collect();
        let world = self.world();
        world.headers.insert(map, owned);
        world.bodies.insert(buffer, body.to_vec());
    }

    fn size(&self, buffer: u32) -> i32 {
        let bytes = self.store.data().bodies.get(&buffer).map_or(0, Vec::len);
        i32::try_from(bytes).expect("not that large")
    }
}
