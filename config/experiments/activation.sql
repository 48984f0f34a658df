-- Share of new signups in Segment S with their first win within 14 days, by signup day.
select (s.signed_up_at at time zone 'UTC')::date as time,
       s.arm as arm,
       count(*) filter (where exists (
         select 1
           from events e
          where e.user_id = s.user_id
            and e.name = 'first_win'
            and e.at >= s.signed_up_at
            and e.at < s.signed_up_at + interval '14 days'
       )) as num,
       count(*) as den
  from signups s
 where s.segment = 'S'
   and s.signed_up_at >= {{start}}
   and s.signed_up_at < {{end}}
 group by 1, 2
 order by 1, 2
