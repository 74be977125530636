//! Pages that a browser's JavaScript makes.
//!
//! `/script/table?ms=300` makes its table (`#t`, 3 rows) after so long; `/script/more` has a button `#more` that adds 10 rows of
//! 40; `/script/scroll` adds 20 rows of 60 whenever its end is seen; `/script/fetch` takes 5 records of `/api/page` into a
//! table; `/script/never` makes nothing; `/script/alert` stops in an `alert()` before its table; `/script/busy` loops for ever;
//! `/script/inside?port=P` asks for `http://169.254.169.254/`, `http://127.0.0.1:P/`, `http://127.0.0.2:P/`, `http://[::1]:P/`
//! and `http://localhost:P/` in several ways (with `udp=Q` also by WebRTC) and makes its table all the same; `/script/moved?to=`
//! goes on to `/script/table` or elsewhere (`stay=1`: it has a table itself); `/script/polling` asks for something all the
//! time, beside its table; `/script/file` is a file to download, `/script/drops` a page that begins such a download;
//! `/script/echoes?port=P` asks for `/echo` of its own host and of `http://127.0.0.1:P`, then makes its table.
use axum::{
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};

use super::{Asked, html};

const ROW: &str = "function row(n){const r=document.createElement('tr');r.innerHTML='<td>'+n+'</td><td>name '+n+'</td>';\
                   document.querySelector('#t tbody').append(r)}\
                   function table(){const t=document.createElement('table');t.id='t';\
                   t.innerHTML='<thead><tr><th>n</th><th>name</th></tr></thead><tbody></tbody>';document.body.append(t)}";

pub(super) fn answer(asked: &Asked, which: &str) -> Response {
    let body = match which {
        "table" => format!("setTimeout(()=>{{table();[1,2,3].forEach(row)}},{})", asked.number("ms", 300)),
        "more" => "table();let n=0;const b=document.createElement('button');b.id='more';b.textContent='Load more';\
                   function add(){for(let i=0;i<10;i++)row(++n);if(n>=40)b.remove()}\
                   b.onclick=()=>setTimeout(add,50);add();document.body.append(b)"
            .to_owned(),
        "scroll" => {
            "table();let n=0;const e=document.createElement('div');e.style.marginTop='3000px';e.textContent='end';\
                     function add(){if(n<60)for(let i=0;i<20;i++)row(++n)}add();document.body.append(e);\
                     new IntersectionObserver(s=>{if(s[0].isIntersecting&&n<60)setTimeout(add,50)}).observe(e);\
                     addEventListener('scroll',()=>{if(n<60&&innerHeight+scrollY>=document.body.scrollHeight-10)add()})"
                .to_owned()
        }
        "fetch" => {
            "table();fetch('/api/page?page=1&size=5').then(r=>r.json()).then(d=>d.data.items.forEach(i=>row(i.id)))"
                .to_owned()
        }
        "never" => "document.title='nothing comes'".to_owned(),
        "alert" => "alert('stop');table();[1,2,3].forEach(row)".to_owned(),
        "busy" => "for(;;){}".to_owned(),
        "inside" => inside(asked.number("port", 1), asked.number("udp", 1)),
        "moved" => {
            let to = asked.query.get("to").map_or("/script/table?ms=10", String::as_str);
            let table = if asked.query.contains_key("stay") { "table();[1,2,3].forEach(row);" } else { "" };
            format!("{table}location.href={}", serde_json::Value::from(to))
        }
        "polling" => "table();[1,2,3].forEach(row);setInterval(()=>fetch('/echo'),100)".to_owned(),
        "drops" => "const a=document.createElement('a');a.href='/script/file';document.body.append(a);a.click();\
                    setTimeout(()=>{table();[1,2,3].forEach(row)},300)"
            .to_owned(),
        "echoes" => format!(
            "Promise.allSettled(['/echo','/echo?2','http://127.0.0.1:{}/echo'].map(u=>fetch(u,{{mode:'no-cors'}})))\
             .then(()=>{{table();[1,2,3].forEach(row)}})",
            asked.number("port", 1)
        ),
        "file" => {
            let headers =
                [(header::CONTENT_DISPOSITION, "attachment; filename=rows.csv"), (header::CONTENT_TYPE, "text/csv")];
            return (headers, "a,b\n1,2\n").into_response();
        }
        _ => return (StatusCode::NOT_FOUND, "there is no such script").into_response(),
    };
    html(format!(
        "<!doctype html><html><head><title>{which}</title></head><body><h1>{which}</h1><script>{ROW};{body}</script></body></html>"
    ))
}

fn inside(port: usize, udp: usize) -> String {
    let targets = [
        "http://169.254.169.254/latest/meta-data/".to_owned(),
        format!("http://127.0.0.1:{port}/inside"),
        format!("http://127.0.0.2:{port}/inside"),
        format!("http://[::1]:{port}/inside"),
        format!("http://localhost:{port}/inside"),
        format!("http://2130706434:{port}/inside"),
    ];
    let targets = targets.map(|target| format!("'{target}'")).join(",");
    format!(
        "for(const u of [{targets}]){{fetch(u,{{mode:'no-cors'}}).catch(()=>0);new Image().src=u;\
         const f=document.createElement('iframe');f.src=u;document.body.append(f);\
         const s=document.createElement('script');s.src=u;document.body.append(s);\
         try{{new WebSocket(u.replace('http','ws'))}}catch(e){{}};navigator.sendBeacon(u,'x')}}\
         try{{const p=new RTCPeerConnection({{iceServers:[{{urls:'stun:127.0.0.2:{udp}'}}]}});p.createDataChannel('x');\
         p.createOffer().then(o=>p.setLocalDescription(o))}}catch(e){{}};window.open(`http://127.0.0.2:{port}/popup`);\
         setTimeout(()=>{{table();[1,2,3].forEach(row)}},200)"
    )
}
