use model::*; use std::collections::*; use model::system::*;
fn main(){
 let pages: usize = std::env::args().nth(1).unwrap().parse().unwrap();
 let link = match std::env::args().nth(2).as_deref(){Some("u")=>Link::Unordered,Some("l")=>Link::Lossy,_=>Link::Fifo};
 let hosts = match std::env::args().nth(3).as_deref(){Some("3")=>Hosts::Three,_=>Hosts::Two};
 let only = std::env::args().nth(4);
 for s in algorithms::BUILT_IN { 
  if let Some(o)=&only { if s.name != *o {continue;} }
  let m = Concrete{system: Migration::new(s.clone(),hosts,link), pages};
  let mut seen=HashSet::new(); let mut q=VecDeque::new(); let mut bad:BTreeMap<String,String>=BTreeMap::new();
  let mut steps:BTreeSet<String>=BTreeSet::new(); let mut t=0u64; let mut recs=HashSet::new(); let mut parent: HashMap<_, (Step_, _)>=HashMap::new();
  for i in m.initial(){ seen.insert(i.clone()); q.push_back(i);}
  while let Some(x)=q.pop_front(){
    for p in x.pages.iter(){recs.insert((x.control,*p));}
    let v=m.judge(&x); for p in v.iter(){ bad.entry(p.to_string()).or_insert_with(||format!("{:?}",trace(&parent,&x)));}
    for (st,n) in m.successors(&x){ t+=1;
      match st { Move::Control(c)=>{steps.insert(c.to_string());}, Move::Page(c,_)=>{steps.insert(c.to_string());}}
      for p in m.judge_step(&x,st).iter(){ bad.entry(p.to_string()).or_insert_with(||format!("{:?} + {:?}",trace(&parent,&x),st)); }
      if seen.insert(n.clone()){ if pages<=2 {parent.insert(n.clone(),(st,x.clone()));} q.push_back(n);} }
  }
  let all: BTreeSet<String> = m.system.control_steps().iter().map(|s|s.to_string()).chain(m.system.page_steps().iter().map(|s|s.to_string())).collect();
  println!("{:20} states {} transitions {} records {} untaken {:?} bad {:?}", s.name, seen.len(), t, recs.len(), all.difference(&steps).collect::<Vec<_>>(), bad.keys());
  for (k,v) in bad { println!("   {k}: {v}"); }
 }
}
type Step_ = Move<ControlStep,PageStep>;
type St = Configuration<Control,Page>;
fn trace(p:&HashMap<St,(Step_,St)>, x:&St)->Vec<String>{ let mut v=vec![]; let mut c=x.clone(); while let Some((s,n))=p.get(&c){ v.push(match s {Move::Control(c)=>c.to_string(),Move::Page(s,i)=>format!("{s}({i})")}); c=n.clone();} v.reverse(); v.push(format!("{x:?}")); v}
