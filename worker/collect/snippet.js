// The browser's side of the HTTPS API: takes a page's events and sends them to the collector that served it.
//
//   <script src="https://collector.example/s.js" data-key="wk_..." data-page></script>
//
//   data-key       write key; it is public, and may only write
//   data-page      sends a page_view at once
//   data-session   names sessions: a new session_id after so many minutes without an event (30 if empty)
//   data-path      another path than /v1/events (collect.paths)
//
//   sz.track(type, data)   an event          sz.page(data)   a page_view, with a view_id of its own
//   sz.identify(user)      a login, if that is another user than before; events have the user_id from then on
//   sz.logout()            a logout, the last event with that user_id
//   sz.device              this browser's device_id
//   addEventListener("sz", e => e.detail)    each answer: {status, answer}; status 0: there was none
//
// An event stays in the queue, which outlives the page in sessionStorage, until an answer says that it is stored
// or refused, or a beacon has taken it. Names are short and spaces few, since all but the comments is served,
// in less than 2 KB (worker/collect/snippet.py).
(()=>{
// s: the script's attributes; u: where events go, up to the key of the batch.
let c=document.currentScript,s=c.dataset,u=new URL(s.path||"/v1/events",c.src)+"?write_key="+encodeURIComponent(s.key||"")+"&idempotency_key=",
// Storage may be forbidden (a sandbox, blocked cookies): then everything lasts as long as the page, in m.
m={},L="localStorage",S="sessionStorage",
get=(w,k)=>{try{return window[w]["sz."+k]}catch{return m[k]}},
put=(w,k,v)=>{try{window[w]["sz."+k]=v}catch{m[k]=v}},
// 128 random bits in hex. crypto.randomUUID is only there on https.
id=_=>[...crypto.getRandomValues(new Uint8Array(16))].map(x=>x.toString(16).padStart(2,0)).join(""),
// d: the device; v: the view.
d=get(L,"device")||id(),v,
// q: the queue, events as text. Its first n are a batch that was sent, with the key k: a repetition is the same.
q=[],n=0,k,
// t: the timer; b: how many are being sent; f: attempts that failed in a row.
t,b=0,f=0,
save=_=>put(S,"queue",JSON.stringify([q,n,k])),
// How many of those that wait make a batch: a beacon takes 64 KiB, and a letter has up to three bytes.
fill=_=>{let n=0,z=0,e;while(n<50&&(e=q[b+n])&&((z+=e.length)<2e4||!n))n++;return n},
body=n=>"["+q.slice(b,b+n)+"]",
wait=ms=>t||=setTimeout(send,ms),
send=_=>{
t=clearTimeout(t);
if(b||!q[0])return;
if(!n)n=fill(),k=id();
save();
// x: the status, 0 if there was no answer; a: the answer; w: seconds to wait.
fetch(u+k,{method:"POST",body:body(n),credentials:"omit",keepalive:n<25&&!f}).then(async r=>[r.status,await r.json().catch(_=>0),r.headers.get("retry-after")]).catch(_=>[0]).then(([x,a,w])=>{
b=0;
f=x&&x<500&&x!=429?0:f+1;
// e: what is sent again: nothing, or the rest of a batch that was stored in part, or (undefined) all of it.
let e=f?a?.retry:[];
if(e)q.splice(0,n,...e.map(i=>q[i])),n=0;
save();
dispatchEvent(new CustomEvent("sz",{detail:{status:x,answer:a}}));
q[0]&&wait(f&&Math.max(w*1e3||0,500*2**Math.min(f,7))*(1+Math.random()/2))
});
b=n
},
// A session_id, the same until nothing came for so many minutes.
sid=_=>{let t=Date.now();t-get(L,"seen")<(s.session||30)*6e4||put(L,"session",id());put(L,"seen",t);return get(L,"session")},
sz=window.sz={
device:d,
track(type,data){
q.push(JSON.stringify({id:id(),type,device_id:d,timestamp:Date.now(),view_id:v,user_id:get(L,"user"),session_id:s.session==null?void 0:sid(),data}));
// At most 500 wait; the oldest that no batch holds goes.
if(q.length>500)q.splice(n,1);
save();
wait(200)
},
page(data){v=id();sz.track("page_view",{url:location.href.split(/[?#]/)[0],title:document.title,...data})},
identify(x){if(x!=get(L,"user"))put(L,"user",x),sz.track("login")},
logout(){sz.track("logout");put(L,"user","")}
};
put(L,"device",d);
try{[q,n,k]=JSON.parse(get(S,"queue"))}catch{}
// Nobody reads a beacon's answer: where the last attempt failed, events wait for this tab's next page instead.
addEventListener("visibilitychange",_=>{let e;while(document.hidden&&!f&&(e=fill())&&navigator.sendBeacon(u+id(),body(e)))q.splice(b,e);save()});
addEventListener("online",send);
if(s.page!=null)sz.page();
send()
})()
