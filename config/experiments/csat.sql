-- Share of survey answers from Segment S that are satisfied, by the day of the answer.
select (c.at at time zone 'UTC')::date as time,
       s.arm as arm,
       count(*) filter (where c.satisfied) as num,
       count(*) as den
  from csat c
  join signups s on s.user_id = c.user_id
 where s.segment = 'S'
   and c.at >= {{start}}
   and c.at < {{end}}
 group by 1, 2
 order by 1, 2
