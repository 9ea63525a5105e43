// Sends one call to a URL in every form in which a page may send it. Returns what
// the page learns of each.
const [url, encoded, done] = arguments;
const message = Uint8Array.from(atob(encoded), (c) => c.charCodeAt(0));

function send(name, options, target = url) {
    const request = { method: 'POST', credentials: 'include', body: message, ...options };
    return fetch(`${target}?${name}`, request).then((response) => response.type, (error) => error.name);
}

// What a page may send to any origin. The browser drops other content types.
function unasked(name, type, options = {}) {
    const headers = type ? { 'content-type': type } : {};
    return send(name, { mode: 'no-cors', headers, ...options });
}

// What the browser asks the server for first.
function asked(name, type) {
    return send(name, { headers: { 'content-type': type } });
}

function multipart() {
    const body = new FormData();
    body.append('message', new Blob([message]));
    return unasked('multipart', undefined, { body });
}

function xhr() {
    return new Promise((resolve) => {
        const request = new XMLHttpRequest();
        request.open('POST', `${url}?xhr`);
        request.withCredentials = true;
        request.setRequestHeader('content-type', 'text/plain');
        request.onloadend = () => resolve(`status ${request.status}`);
        request.send(message);
    });
}

function beacon() {
    const target = `${url}?beacon`;
    return new Promise((resolve) => {
        const finished = new PerformanceObserver((list) => {
            if (list.getEntriesByName(target).length) resolve('finished');
        });
        finished.observe({ type: 'resource' });
        navigator.sendBeacon(target, new Blob([message], { type: 'text/plain' }));
    });
}

// A page of no origin, as a sandboxed frame is.
function nowhere() {
    return new Promise((resolve) => {
        addEventListener('message', (event) => resolve(event.data), { once: true });
        const frame = document.createElement('iframe');
        frame.sandbox = 'allow-scripts';
        frame.srcdoc = `<script>
            const message = Uint8Array.from(atob('${encoded}'), (c) => c.charCodeAt(0));
            const headers = { 'content-type': 'text/plain' };
            const options = { method: 'POST', mode: 'no-cors', credentials: 'include', headers, body: message };
            fetch('${url}?nowhere', options).then((it) => it.type, (it) => it.name)
                .then((outcome) => parent.postMessage(outcome, '*'));
        </script>`;
        document.body.append(frame);
    });
}

function form(enctype) {
    return new Promise((resolve) => {
        const frame = document.createElement('iframe');
        frame.name = enctype;
        document.body.append(frame);
        frame.onload = () => resolve('loaded');
        // An answer of gRPC is a download, and nothing loads.
        setTimeout(() => resolve('nothing'), 5000);
        const form = document.createElement('form');
        Object.assign(form, { method: 'post', action: `${url}?form`, target: enctype, enctype });
        const field = document.createElement('input');
        Object.assign(field, { name: 'message', value: String.fromCharCode(...message) });
        form.append(field);
        document.body.append(form);
        form.submit();
    });
}

function element(tag) {
    return new Promise((resolve) => {
        const made = document.createElement(tag);
        made.onload = () => resolve('loaded');
        made.onerror = () => resolve('failed');
        made.src = `${url}?${tag}`;
        document.body.append(made);
    });
}

async function all() {
    return {
        plain: await unasked('plain', 'text/plain'),
        untyped: await unasked('untyped'),
        urlencoded: await unasked('urlencoded', 'application/x-www-form-urlencoded'),
        multipart: await multipart(),
        grpc: await unasked('grpc', 'application/grpc'),
        web: await unasked('web', 'application/grpc-web-text'),
        kept_alive: await unasked('kept_alive', 'text/plain', { keepalive: true }),
        redirected: await send('redirected', { mode: 'no-cors', headers: { 'content-type': 'text/plain' } }, '/away/' + encodeURIComponent(url)),
        xhr: await xhr(),
        beacon: await beacon(),
        nowhere: await nowhere(),
        form_plain: await form('text/plain'),
        form_urlencoded: await form('application/x-www-form-urlencoded'),
        form_multipart: await form('multipart/form-data'),
        img: await element('img'),
        script: await element('script'),
        asked_grpc: await asked('asked_grpc', 'application/grpc'),
        asked_web: await asked('asked_web', 'application/grpc-web+proto'),
    };
}

all().then(done);
