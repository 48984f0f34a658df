-- Treated users who got mail on a day, and those for whom it was the second within 7 days.
select (m.sent_at at time zone 'UTC')::date as time,
       count(distinct m.user_id) as units,
       count(distinct m.user_id) filter (where m.sent_in_7d > 1) as over
  from (
    select e.user_id,
           e.sent_at,
           count(*) over (
             partition by e.user_id
             order by e.sent_at
             range between interval '7 days' preceding and current row
           ) as sent_in_7d
      from emails e
      join signups s on s.user_id = e.user_id
     where s.segment = 'S'
       and s.arm = 'checklist'
       and e.sent_at >= cast({{start}} as timestamptz) - interval '7 days'
       and e.sent_at < {{end}}
  ) m
 where m.sent_at >= {{start}}
 group by 1
 order by 1
