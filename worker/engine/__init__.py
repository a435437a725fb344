"""One step of one partition behind one door: records and states in, outputs and new states out.

Tasks, replay, simulation and benches know ``protocol`` alone; ``readable`` is the definition of every rule.
"""
